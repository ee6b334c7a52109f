"""A model folder's answers, by the very stages that serve it: decode, engine."""

import os
from collections.abc import Callable
from functools import partial

import numpy as np

from worker.decode import decode
from worker.engines import Engine, load_engine
from worker.labels import Labels
from worker.limits import LIMITS
from worker.models.fields import ModelError
from worker.models.folder import ModelFolder
from worker.settings import AUTO


def open_engine(folder: ModelFolder) -> Engine:
    """The folder's own engine on all cores this process may use, warmed up at every batch size; raises ModelError."""
    engine = load_engine(folder, AUTO, len(os.sched_getaffinity(0)), gpu=False)
    height, width = folder.input.geometry.size
    for size in folder.engine.batch_sizes:
        engine.infer(np.zeros((size, height, width, 3), np.uint8))
    return engine


def outputs(folder: ModelFolder, engine: Engine) -> int:
    """How many classes the network tells apart."""
    height, width = folder.input.geometry.size
    return int(engine.infer(np.zeros((1, height, width, 3), np.uint8)).shape[-1])


def check_count(labels: Labels, found: int) -> None:
    """Raise ModelError when the network has `found` outputs and the labels are not as many."""
    if labels.count != found:
        raise ModelError(f"labels: found {labels.count}, the network has {found} outputs: needed one for each")


def asker(folder: ModelFolder, engine: Engine) -> Callable[[bytes], np.ndarray]:
    """What takes the bytes of a picture to its float32 logits [classes]; it raises what decoding raises."""
    to_pixels = partial(decode, geometry=folder.input.geometry, max_pixels=LIMITS["max_pixels"].default)
    return lambda image: engine.infer(np.stack([to_pixels(image)]))[0]
