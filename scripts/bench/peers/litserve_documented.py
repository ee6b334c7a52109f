"""LitServe as in its documentation and its performance test: base64 in JSON, batches of 8, a thread pool."""

import base64
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import litserve
import torch

from scripts.bench.peers import common


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model, self.preprocess, self.labels = common.network(), common.preprocessing(), common.categories()
        self.pool = ThreadPoolExecutor(os.cpu_count())

    def decode_request(self, request: dict[str, str]) -> str:
        return request["image_data"]

    def batch(self, inputs: list[str]) -> torch.Tensor:
        return torch.stack(list(self.pool.map(self._open, inputs)))

    def _open(self, text: str) -> torch.Tensor:
        return self.preprocess(base64.b64decode(text))

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self.model(x).argmax(dim=1)

    def unbatch(self, output: torch.Tensor) -> list[Any]:
        return output.tolist()

    def encode_response(self, output: int) -> dict[str, str]:
        return {"output": self.labels[output]}


if __name__ == "__main__":
    api = Classifier(max_batch_size=8, batch_timeout=0.01)
    litserve.LitServer(api, accelerator="cpu").run(port=int(sys.argv[1]), generate_client_file=False)
