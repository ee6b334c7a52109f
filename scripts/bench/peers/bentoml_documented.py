"""BentoML as in its ResNet example: images as a multipart form, with adaptive batching."""

import bentoml
import torch
from PIL.Image import Image

from scripts.bench.peers import common


@bentoml.service(traffic={"timeout": 300, "concurrency": 256})
class Classifier:
    def __init__(self) -> None:
        self.model, self.transform, self.labels = common.network(), common.transform(), common.categories()

    @bentoml.api(batchable=True)  # type: ignore[untyped-decorator]
    async def classify(self, images: list[Image]) -> list[str]:
        with torch.no_grad():
            batch = torch.stack([self.transform(image.convert("RGB")) for image in images])
            return [self.labels[index] for index in self.model(batch).argmax(dim=1).tolist()]
