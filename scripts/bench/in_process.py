"""This project's decoding and engine without a server, the upper limit of one slot; and torch in f32 to compare with.

`python -m scripts.bench.in_process PROGRAM FOLDER GPU ...` prints JSON; `main` says what the programs take.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from scripts.bench.results import percentile
from scripts.models.tools.answers import open_engine
from worker.decode import Bounds
from worker.engines import Engine
from worker.models.folder import ModelFolder, read_folder
from worker.process.memory import tune_malloc

TOP = 5


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


def measure(model: InProcessModel, images: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """Return the rate, latencies and CPU ms an image of the fastest batch size, and what engine and JPEG take of it."""
    share = seconds / (len(model.engine.batch_sizes) + 2)
    rows = [_measure_batches(model, images, size, share) for size in model.engine.batch_sizes]
    batch = model.decode(images[0])[None]
    engine_ms = _cpu_ms(lambda _: model.engine.infer(batch), images, share)
    jpegs = [image for image in images if simplejpeg.is_jpeg(image)]
    jpeg_ms = _cpu_ms(lambda image: simplejpeg.decode_jpeg(image, "RGB"), jpegs, share) if jpegs else 0.0
    return max(rows, key=lambda row: row["rate"]) | {"engine_ms": engine_ms, "jpeg_ms": jpeg_ms}


def _measure_batches(model: InProcessModel, images: Sequence[bytes], size: int, seconds: float) -> dict[str, Any]:
    list(_durations(model, images, size, seconds / 4))
    cpu, started = time.process_time(), time.monotonic()
    times = [1000 * duration for duration in _durations(model, images, size, seconds)]
    count, cpu_ms = size * len(times), 1000 * (time.process_time() - cpu)
    percentiles = {"p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99)}
    return {
        "rate": count / (time.monotonic() - started),
        "cpu_ms": cpu_ms / count,
        **percentiles,
        "latencies_ms": times,
    }


def _durations(model: InProcessModel, images: Sequence[bytes], size: int, seconds: float) -> Iterator[float]:
    """Yield the seconds of each batch of `size` images, decoded one by one and inferred together, for `seconds`."""
    source, end = cycle(images), time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        model.engine.infer(np.stack([model.decode(image) for image in islice(source, size)]))
        yield time.monotonic() - started


def _cpu_ms(action: Callable[[bytes], object], images: Sequence[bytes], seconds: float) -> float:
    """Return the CPU ms of one `action` on an image, on average over `seconds`."""
    count, cpu, end = 0, time.process_time(), time.monotonic() + seconds
    while not count or time.monotonic() < end:
        action(images[count % len(images)])
        count += 1
    return 1000 * (time.process_time() - cpu) / count


def agreement(folder: str, images: Sequence[bytes]) -> dict[str, float]:
    """Return the share of `images` whose top class by torch in f32 is the same however they are decoded.

    `difference` is the largest difference of a score between images shrunk while they are decoded and exact ones.
    """
    import torch

    from scripts.bench.peers import common

    network, model_input = common.network(), read_folder(Path(folder)).input
    mean, std = np.array(model_input.mean, np.float32), np.array(model_input.std, np.float32)

    def scores(image: bytes, exact: bool) -> np.ndarray:
        chosen = replace(model_input, exact=exact)
        values = (chosen.inputs(chosen.open(image, Bounds()))[0].astype(np.float32) / 255 - mean) / std
        return np.asarray(network(torch.from_numpy(values).permute(2, 0, 1)[None])[0].softmax(0).detach())

    pairs = [(scores(image, False), scores(image, True)) for image in images]
    same = [one.argmax() == other.argmax() for one, other in pairs]
    difference = max(float(abs(one - other).max()) for one, other in pairs)
    return {"agreement": sum(same) / len(images), "difference": difference, "images": len(images)}


def labels(folder: str, gpu: str) -> Callable[[bytes], str]:
    """Return the function from an image to its label: of the model folder, or the baseline's if `folder` is ""."""
    if folder:
        model = open_model(folder, gpu)
        return lambda image: str(model.answer(image)[0]["label"])
    from scripts.bench.peers import common

    network, preprocess, categories = common.network(), common.preprocessing(), common.categories()
    return lambda image: categories[int(network(preprocess(image)[None])[0].argmax())]


def main(program: str, folder: str, gpu: str, seconds: str, *folders: str) -> Any:
    """Return what `program` measures or answers for each of the `folders` of images."""
    images = [{str(path): path.read_bytes() for path in sorted(Path(one).iterdir())} for one in folders]
    if program == "agreement":
        return [agreement(folder, [*each.values()]) for each in images]
    if program == "labels":
        label = labels(folder, gpu)
        return [{path: label(image) for path, image in each.items()} for each in images]
    model = open_model(folder, gpu)
    return [measure(model, [*each.values()], float(seconds)) for each in images]


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
