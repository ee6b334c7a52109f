"""BentoML with this project's decoding and engine: a multipart file, one worker process."""

import os
from pathlib import Path

import bentoml
import numpy as np

from scripts.bench.in_process import open_model


@bentoml.service(workers=1, traffic={"timeout": 300, "concurrency": 256})
class Classifier:
    def __init__(self) -> None:
        self.model = open_model(os.environ["BENCH_FOLDER"])

    @bentoml.api  # type: ignore[untyped-decorator]
    def classify(self, images: Path) -> list[dict[str, object]]:
        return self.model.answer(self.model.infer(np.stack([self.model.decode(images.read_bytes())]))[0])
