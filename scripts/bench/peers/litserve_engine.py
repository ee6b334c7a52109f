"""LitServe with this project's decoding and engine: base64 in JSON, since it accepts no raw bytes; one worker."""

import base64
import os
from typing import Any

import litserve
import numpy as np

from scripts.bench.in_process import open_model
from scripts.bench.peers import common


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = open_model(os.environ["BENCH_FOLDER"])

    def decode_request(self, request: dict[str, str]) -> bytes:
        return base64.b64decode(request["image_data"])

    def predict(self, x: bytes) -> Any:
        return self.model.answer(self.model.infer(np.stack([self.model.decode(x)]))[0])

    def encode_response(self, output: Any) -> Any:
        return output


if __name__ == "__main__":
    litserve.LitServer(Classifier(), accelerator="cpu").run(port=common.PORT, generate_client_file=False)
