"""This project's decoding and engine without a server, the upper limit of one slot; and torch in f32 to compare with.

The functions take a model folder, a GPU's UUID or "", and folders of images by name; they return results by name.
"""

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
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
    share = seconds / (len(engine.batch_sizes) + 2)
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
    source, jpegs = cycle(images), cycle([image for image in images if simplejpeg.is_jpeg(image)] or [b""])

    def decode(count: int) -> np.ndarray:
        opened = [model.input.open(next(source), Bounds()) for _ in range(count)]
        return np.stack([model.input.inputs(image)[0] for image in opened])

    def answer(count: int) -> None:
        engine.infer(decode(count))

    def decode_jpeg() -> None:
        if jpeg := next(jpegs):
            simplejpeg.decode_jpeg(jpeg, "RGB")

    one = decode(1)
    rows = [(size, *_per_call(partial(answer, size), seconds)) for size in engine.batch_sizes]
    size, wall_s, cpu_s = min(rows, key=lambda row: row[1] / row[0])
    _, engine_s = _per_call(lambda: engine.infer(one), seconds)
    _, jpeg_s = _per_call(decode_jpeg, seconds)
    return {"rate": size / wall_s, "cpu_ms": 1e3 * cpu_s / size, "engine_ms": 1e3 * engine_s, "jpeg_ms": 1e3 * jpeg_s}


def _per_call(action: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of one call of `action`, on average over `seconds` after a first one."""
    action()
    calls, cpu, started = 0, time.process_time(), time.monotonic()
    while not calls or time.monotonic() - started < seconds:
        action()
        calls += 1
    return (time.monotonic() - started) / calls, (time.process_time() - cpu) / calls


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
