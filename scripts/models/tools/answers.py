"""A model folder's answers, by the very stages that serve it: decode, engine."""

import os
from collections.abc import Callable
from functools import partial

import numpy as np

from worker.contract.fields import ModelError
from worker.contract.limits import LIMITS
from worker.contract.settings import AUTO
from worker.decode import decode
from worker.engines import Engine, load_engine
from worker.models.folder import ModelFolder
from worker.models.labels import Labels
from worker.pipeline.classifier import Head, identity
from worker.pipeline.text_embeddings import open_text_heads


def open_engine(folder: ModelFolder, threads: int = 0, gpu: str = "") -> Engine:
    """The engine that `folder` chooses, warmed up at every batch size; raises ModelError.

    On so many threads, 0 for one on each core that this process may use; on the GPU with that UUID, "" for none.
    """
    engine = load_engine(folder, AUTO, threads or len(os.sched_getaffinity(0)), gpu)
    for size in engine.batch_sizes:
        engine.infer(np.zeros((size, *folder.input.shape), np.uint8))
    return engine


def outputs(folder: ModelFolder, engine: Engine) -> int:
    """How many classes the network tells apart."""
    return int(head(folder)(engine.infer(np.zeros((1, *folder.input.shape), np.uint8))).shape[-1])


def check_count(labels: Labels, found: int) -> None:
    """Raise ModelError when the network has `found` outputs and the labels are not as many."""
    if labels.count != found:
        raise ModelError(f"labels: found {labels.count}, the network has {found} outputs: needed one for each")


def decoder(folder: ModelFolder) -> Callable[[bytes], np.ndarray]:
    """What takes the bytes of an image to the whole of it as the network sees it, uint8 [H, W, C].

    It raises what decoding does.
    """
    taken = folder.input
    return partial(decode, geometry=taken.geometry, max_pixels=LIMITS["max_pixels"].default, wanted=taken.pixels)


def head(folder: ModelFolder) -> Head:
    """What makes float32 logits [..., classes] of what the folder's network gives."""
    texts = open_text_heads(folder, "", len(os.sched_getaffinity(0)))
    return texts.own_head if texts else identity


def asker(folder: ModelFolder, engine: Engine) -> Callable[[bytes], np.ndarray]:
    """What takes the bytes of an image to its float32 logits [classes]; it raises what decoding raises."""
    most, to_logits = LIMITS["max_pixels"].default, head(folder)
    return partial(folder.input.ask, max_pixels=most, answer=lambda batch: to_logits(engine.infer(batch)))
