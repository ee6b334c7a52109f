"""This project's decoding and engine without a server: the upper limit of one slot, and the code in peers/*_engine.

`python -m scripts.bench.in_process` runs in a serving environment and prints its measurements as JSON.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from scripts.models.tools.answers import decoder, open_engine
from worker.models.folder import read_folder
from worker.models.scores import Output
from worker.process.memory import tune_malloc

TOP = 5


@dataclass(frozen=True)
class InProcessModel:
    """A model run by `engine` in `precision`.

    `decode`: bytes -> uint8 [H, W, C]; `infer`: uint8 [N, H, W, C] -> float32 [N, classes], N in `batch_sizes`.
    """

    engine: str
    precision: str
    decode: Callable[[bytes], np.ndarray]
    infer: Callable[[np.ndarray], np.ndarray]
    batch_sizes: Sequence[int]
    output: Output

    def answer(self, logits: np.ndarray) -> list[dict[str, object]]:
        """Return the predictions of POST /predict for float32 `logits` [classes]."""
        return self.output.predictions(self.output.scores(logits), TOP, 0.0, "both")


def open_model(path: str, gpu: str = "") -> InProcessModel:
    """Open the model folder at `path` on this process's cores or its GPU, and warm it up."""
    tune_malloc(len(os.sched_getaffinity(0)))  # as a worker does
    folder = read_folder(Path(path))
    engine = open_engine(folder, gpu=gpu)
    return InProcessModel(
        engine.name, engine.precision, decoder(folder), engine.infer, engine.batch_sizes, folder.output
    )


def batch_durations(model: InProcessModel, images: Sequence[bytes], size: int, seconds: float) -> Iterator[float]:
    """Yield the seconds of each batch of `size` images, decoded one by one and inferred together, for `seconds`."""
    source, end = cycle(images), time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        model.infer(np.stack([model.decode(image) for image in islice(source, size)]))
        yield time.monotonic() - started


def measure(model: InProcessModel, images: Sequence[bytes], seconds: float, warm_s: float) -> list[dict[str, object]]:
    """Return a row for each batch size: its images, seconds, CPU seconds and latencies in ms."""
    rows: list[dict[str, object]] = []
    for size in model.batch_sizes:
        list(batch_durations(model, images, size, warm_s / len(model.batch_sizes)))
        cpu, started = time.process_time(), time.monotonic()
        durations = list(batch_durations(model, images, size, seconds / len(model.batch_sizes)))
        row = {
            "batch": size,
            "images": size * len(durations),
            "seconds": time.monotonic() - started,
            "cpu_s": time.process_time() - cpu,
            "latencies_ms": [round(duration * 1000, 3) for duration in durations],
        }
        rows.append(row)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("images", type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-s", type=float, required=True)
    parser.add_argument("--gpu", default="", help="the GPU's UUID")
    options = parser.parse_args()
    bodies = [path.read_bytes() for path in sorted(options.images.iterdir())]
    json.dump(measure(open_model(options.folder, options.gpu), bodies, options.seconds, options.warm_s), sys.stdout)
