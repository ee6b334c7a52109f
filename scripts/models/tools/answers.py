"""Run a model folder through the stages that serve it, decoding and engine, to get its answers."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from worker.contract.settings import AUTO
from worker.contract.toml_reader import ModelError
from worker.decode import Bounds, decode
from worker.engines import Engine, load_engine
from worker.models.folder import ModelFolder
from worker.models.labels import SOFTMAX, Labels
from worker.pipeline.classifier import Head, identity
from worker.pipeline.text_embeddings import open_text_heads

ONE_OUTPUT = "one label and ACTIVATION=sigmoid, or a network exported with two outputs"


def open_engine(folder: ModelFolder, threads: int = 0, gpu: str = "") -> Engine:
    """Return the engine that `folder` chooses, warmed up at every batch size. Raise ModelError if it cannot run.

    `threads` is 0 for one thread on each CPU that this process may use; `gpu` is a GPU's UUID, "" for the CPU.
    """
    engine = load_engine(folder, AUTO, threads or len(os.sched_getaffinity(0)), gpu)
    for size in engine.batch_sizes:
        engine.infer(np.zeros((size, *folder.input.shape), np.uint8))
    return engine


def count_outputs(folder: ModelFolder, engine: Engine) -> int:
    """Return the number of classes of the network."""
    return int(head(folder)(engine.infer(np.zeros((1, *folder.input.shape), np.uint8))).shape[-1])


def check_label_count(labels: Labels, outputs: int) -> None:
    """Raise ModelError unless there are as many labels as the network has `outputs`."""
    if labels.count != outputs:
        needed = "1 output: needed " + ONE_OUTPUT if outputs == 1 else f"{outputs} outputs: needed one for each"
        raise ModelError(f"labels: found {labels.count}, the network has {needed}")


def require_rival(labels: Labels, activation: str) -> None:
    """Raise ModelError if the only class has no rival in a softmax, which then gives it the score 1 for every image."""
    if labels.count == 1 and activation == SOFTMAX:
        found = "found softmax for one output, which it makes 1 for every image"
        raise ModelError(f"ACTIVATION: {found}: needed {ONE_OUTPUT}")


def decoder(folder: ModelFolder) -> Callable[[bytes], np.ndarray]:
    """Return a function from an image's bytes to the whole image as the network sees it, uint8 [H, W, C].

    It decodes every image whole, as the library does that it is compared with.

    The function raises ServiceError if the image cannot be decoded.
    """
    model_input = folder.input
    return partial(decode, geometry=model_input.geometry, pixels=model_input.pixels, exact=True)


def head(folder: ModelFolder) -> Head:
    """Return the function from the output of the folder's network to float32 logits [..., classes]."""
    texts = open_text_heads(folder, "", len(os.sched_getaffinity(0)))
    return texts.own_head if texts else identity


def golden_function(folder: ModelFolder, engine: Engine) -> Callable[[bytes], np.ndarray]:
    """Return what `logits_function` returns, but for golden images, which are decoded whole."""
    return logits_function(replace(folder, input=folder.input.whole), engine)


def logits_function(folder: ModelFolder, engine: Engine) -> Callable[[bytes], np.ndarray]:
    """Return a function from an image's bytes to its float32 logits [classes].

    The function raises ServiceError if the image cannot be decoded or makes too many tiles.
    """
    to_logits = head(folder)
    return partial(folder.input.logits, bounds=Bounds(), infer=lambda batch: to_logits(engine.infer(batch)))
