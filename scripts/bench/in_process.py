"""This project's decoding and engine without a server, the upper limit of one slot; and torch in f32 to compare with.

The functions take a model folder, a GPU's UUID or "", and folders of images by name; they return results by name.
"""

import os
import time
from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path

import numpy as np
import simplejpeg

from scripts.models.tools.answers import logits_function, open_engine
from worker.contract.languages import BOTH
from worker.decode import Bounds
from worker.engines import Engine
from worker.models.folder import ModelFolder, read_folder
from worker.models.labels import Row
from worker.models.scores import THRESHOLD, TOP_K
from worker.process.memory import tune_malloc

Folders = Mapping[str, str]


def measure(folder: str, gpu: str, folders: Folders, seconds: float) -> dict[str, dict[str, float]]:
    """Return the rate and CPU ms an image of the fastest batch size, and what engine and libjpeg take of it."""
    model, engine = open_model(folder, gpu)
    share = seconds / (len(engine.batch_sizes) + 1)
    return {name: _measure(model, engine, [*_images(path).values()], share) for name, path in folders.items()}


def open_model(path: str, gpu: str = "") -> tuple[ModelFolder, Engine]:
    """Open the model folder at `path` on this process's cores or its GPU, and warm it up."""
    tune_malloc(len(os.sched_getaffinity(0)))  # as a worker does
    folder = read_folder(Path(path))
    return folder, open_engine(folder, gpu=gpu)


def predictor(folder: ModelFolder, engine: Engine) -> Callable[[bytes], list[Row]]:
    """Return the function from an image file to the predictions of POST /predict."""
    logits, output = logits_function(folder, engine), folder.output
    return lambda image: output.predictions(output.scores(logits(image)), TOP_K, THRESHOLD, BOTH)


def _measure(model: ModelFolder, engine: Engine, images: list[bytes], seconds: float) -> dict[str, float]:
    source, batch = cycle(images), np.zeros((1, *model.input.shape), np.uint8)

    def decode(count: int) -> None:
        nonlocal batch
        opened = [model.input.open(next(source), Bounds()) for _ in range(count)]
        batch = np.stack([model.input.inputs(image)[0] for image in opened])

    def infer(_: int) -> None:
        engine.infer(batch)

    def decode_jpegs(count: int) -> None:
        for _ in range(count):
            simplejpeg.decode_jpeg(next(source), "RGB")

    rows = {size: _per_image(size, seconds, decode, infer) for size in engine.batch_sizes}
    size, (decoded, inferred) = min(rows.items(), key=lambda row: sum(wall for wall, _ in row[1]))
    # After an inference, as in a worker: it has taken the caches of processor from all other code.
    jpeg = _per_image(size, seconds, infer, decode_jpegs)[1]
    cpu, rate = decoded[1] + inferred[1], 1 / (decoded[0] + inferred[0])
    return {"rate": rate, "cpu_ms": 1e3 * cpu, "engine_ms": 1e3 * inferred[1], "jpeg_ms": 1e3 * jpeg[1]}


def _per_image(count: int, seconds: float, *steps: Callable[[int], None]) -> list[tuple[float, float]]:
    """Call the `steps` in turn with `count` for `seconds`; return each one's seconds and CPU seconds an image."""
    times = list[np.ndarray]()
    until = time.monotonic() + seconds
    while len(times) < 2 or time.monotonic() < until:
        clocks = [(time.monotonic(), time.process_time())]
        for step in steps:
            step(count)
            clocks.append((time.monotonic(), time.process_time()))
        times.append(np.diff(clocks, axis=0))
    return [(float(wall), float(cpu)) for wall, cpu in np.mean(times[1:], axis=0) / count]


def labels(folder: str, gpu: str, folders: Folders) -> dict[str, dict[str, str]]:
    """Return the label that the model folder gives to each image, by path."""
    answer = predictor(*open_model(folder, gpu))
    return _label_all(lambda image: str(answer(image)[0]["label"]), folders)


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
