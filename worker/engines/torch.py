"""The torch engine: the network as its library built it, on the slot's cores or its GPU."""

from collections.abc import Sequence

import numpy as np
import torch

from worker.models.fields import ModelError
from worker.models.input import Input

BYTE_RANGE = 255.0
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


class TorchEngine:
    """Runs a network (float32 NCHW, normalised -> logits) on uint8 pictures [N, H, W, 3]."""

    name = "torch"

    def __init__(self, network: torch.nn.Module, model_input: Input, precision: str, threads: int, gpu: bool) -> None:
        if precision not in DTYPES:
            raise ModelError(f'engine torch runs {", ".join(DTYPES)}, found precision "{precision}"; set one of these')
        torch.set_num_threads(threads)
        self.precision = precision
        # The slot's GPU is the only one this process can see, so it is always the first.
        self._device = torch.device("cuda:0" if gpu else "cpu")
        self._network = network.to(self._device, memory_format=torch.channels_last)
        self._mean = self._per_channel(model_input.mean)
        self._scale = 1 / self._per_channel(model_input.std)

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """Logits, float32 [N, classes], of uint8 `pictures` [N, H, W, 3]."""
        with torch.inference_mode(), self._autocast():
            # NHWC seen as NCHW is channels_last already: no copy before the device's own.
            pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(self._device, torch.float32)
            logits = self._network((pixels - self._mean) * self._scale)
        return logits.float().cpu().numpy()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _per_channel(self, values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, device=self._device).view(1, -1, 1, 1) * BYTE_RANGE
