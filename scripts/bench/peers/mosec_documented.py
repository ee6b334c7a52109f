"""MOSEC as in its ResNet-50 example: base64 in JSON, with stages for preprocessing, batched inference and labels."""

import base64

import numpy as np
import torch
from mosec import Server, Worker

from scripts.bench.peers import common

BATCH = 16


class Preprocess(Worker):
    def __init__(self) -> None:
        self.preprocess = common.preprocessing()

    def forward(self, data: dict[str, str]) -> np.ndarray:
        return self.preprocess(base64.b64decode(data["image"])).numpy()


class Inference(Worker):
    def __init__(self) -> None:
        self.model = common.network()
        self.example = [np.zeros((3, 224, 224), np.float32)] * BATCH  # MOSEC's warm-up input

    def forward(self, data: list[np.ndarray]) -> list[int]:
        with torch.no_grad():
            batch = torch.stack([torch.tensor(array) for array in data])
            return self.model(batch).argmax(dim=1).tolist()


class Postprocess(Worker):
    def __init__(self) -> None:
        self.categories = common.categories()

    def forward(self, data: int) -> dict[str, str]:
        return {"category": self.categories[data]}


if __name__ == "__main__":
    server = Server()
    server.append_worker(Preprocess, num=4)
    server.append_worker(Inference, num=2, max_batch_size=BATCH)
    server.append_worker(Postprocess, num=1)
    server.run()
