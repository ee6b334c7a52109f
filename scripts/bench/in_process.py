"""This project's decoding and engine without a server, the upper limit of one slot; and torch in f32 to compare with.

The functions take a model folder, a GPU's UUID or "", and folders of images by name; they return results by name.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import simplejpeg

from scripts.models.tools.answers import open_engine
from worker.decode import Bounds
from worker.engines import Engine
from worker.models.folder import ModelFolder, read_folder
from worker.process.memory import tune_malloc

TOP = 5
Folders = Mapping[str, str]


@dataclass(frozen=True)
class InProcessModel:
    """A model folder and its engine."""

    folder: ModelFolder
    engine: Engine

    def decode(self, image: bytes) -> np.ndarray:
        """Return the network's input, uint8 [H, W, C], decoded as a worker decodes it."""
        return self.folder.input.inputs(self.folder.input.open(image, Bounds()))[0]

    def answer(self, image: bytes) -> list[dict[str, object]]:
        """Return the predictions of POST /predict."""
        output = self.folder.output
        return output.predictions(output.scores(self.engine.infer(self.decode(image)[None])[0]), TOP, 0.0, "both")


def open_model(path: str, gpu: str = "") -> InProcessModel:
    """Open the model folder at `path` on this process's cores or its GPU, and warm it up."""
    tune_malloc(len(os.sched_getaffinity(0)))  # as a worker does
    folder = read_folder(Path(path))
    return InProcessModel(folder, open_engine(folder, gpu=gpu))


def measure(folder: str, gpu: str, folders: Folders, seconds: float) -> dict[str, dict[str, float]]:
    """Return the rate and CPU ms an image of the fastest batch size, and what engine and libjpeg take of it."""
    model = open_model(folder, gpu)
    share = seconds / (len(model.engine.batch_sizes) + 2)
    return {name: _measure(model, [*_images(path).values()], share) for name, path in folders.items()}


def _measure(model: InProcessModel, images: list[bytes], seconds: float) -> dict[str, float]:
    source, jpegs = cycle(images), cycle([image for image in images if simplejpeg.is_jpeg(image)])
    one = model.decode(images[0])[None]

    def answer(size: int) -> None:
        model.engine.infer(np.stack([model.decode(next(source)) for _ in range(size)]))

    rows = [(size, *_per_call(partial(answer, size), seconds)) for size in model.engine.batch_sizes]
    size, wall_s, cpu_s = min(rows, key=lambda row: row[1] / row[0])
    _, engine_s = _per_call(lambda: model.engine.infer(one), seconds)
    _, jpeg_s = _per_call(lambda: [simplejpeg.decode_jpeg(jpeg, "RGB") for jpeg in [next(jpegs, b"")] if jpeg], seconds)
    return {"rate": size / wall_s, "cpu_ms": 1e3 * cpu_s / size, "engine_ms": 1e3 * engine_s, "jpeg_ms": 1e3 * jpeg_s}


def _per_call(action: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of one call of `action`, on average over `seconds` after a first one."""
    action()
    calls, cpu, started = 0, time.process_time(), time.monotonic()
    while not calls or time.monotonic() - started < seconds:
        action()
        calls += 1
    return (time.monotonic() - started) / calls, (time.process_time() - cpu) / calls


def agreement(folder: str, gpu: str, folders: Folders) -> dict[str, dict[str, float]]:
    """Return the share of images whose top class by torch in f32 is the same however they are decoded.

    `difference` is the largest difference of a score between images shrunk while they are decoded and exact ones.
    """
    import torch

    from scripts.bench.peers import common

    torch.set_num_threads(1)  # several would wait for each other on a busy machine
    network, model_input = common.network(), read_folder(Path(folder)).input
    mean, std = np.array(model_input.mean, np.float32), np.array(model_input.std, np.float32)

    def scores(image: bytes, exact: bool) -> np.ndarray:
        chosen = replace(model_input, exact=exact)
        values = (chosen.inputs(chosen.open(image, Bounds()))[0].astype(np.float32) / 255 - mean) / std
        return np.asarray(network(torch.from_numpy(values).permute(2, 0, 1)[None])[0].softmax(0).detach())

    def compare(images: Mapping[str, bytes]) -> dict[str, float]:
        pairs = [(scores(image, False), scores(image, True)) for image in images.values()]
        same = [one.argmax() == other.argmax() for one, other in pairs]
        difference = max(float(abs(one - other).max()) for one, other in pairs)
        return {"agreement": sum(same) / len(pairs), "difference": difference, "images": len(pairs)}

    return {name: compare(_images(path)) for name, path in folders.items()}


def labels(folder: str, gpu: str, folders: Folders) -> dict[str, dict[str, str]]:
    """Return the label that the model folder gives to each image, by path."""
    model = open_model(folder, gpu)
    return _label_all(lambda image: str(model.answer(image)[0]["label"]), folders)


def torch_labels(folder: str, gpu: str, folders: Folders) -> dict[str, dict[str, str]]:
    """Return the label that torchvision's network gives to each image, by path, as the baseline runs it."""
    import torch

    from scripts.bench.peers import common

    torch.set_num_threads(1)
    network, preprocess, categories = common.network(), common.preprocessing(), common.categories()
    return _label_all(lambda image: categories[int(network(preprocess(image)[None])[0].argmax())], folders)


def _label_all(label: Callable[[bytes], str], folders: Folders) -> dict[str, dict[str, str]]:
    return {name: {path: label(image) for path, image in _images(each).items()} for name, each in folders.items()}


def _images(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).iterdir())}
