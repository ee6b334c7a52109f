"""MOSEC with this project's decoding and engine: raw bytes, one worker process."""

import json
import os
from typing import Any

from mosec import Server, Worker

from scripts.bench.in_process import open_model, predictor


class Classify(Worker):
    def __init__(self) -> None:
        self.answer = predictor(*open_model(os.environ["BENCH_FOLDER"]))

    def deserialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: bytes) -> list[dict[str, object]]:
        return self.answer(data)

    def serialize(self, data: Any) -> bytes:
        # MOSEC's own serializer escapes and indents: more bytes than the worker's answer, and no label as it is.
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Classify)
    server.run()
