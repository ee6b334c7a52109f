"""A text tower of either library behind one face."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

Encode = Callable[[list[str]], torch.Tensor]


class Tower:
    """Embeds texts by `encode` (texts -> float32 [N, D]); `scale` and `bias` make logits of likenesses."""

    def __init__(self, encode: Encode, scale: torch.Tensor, bias: torch.Tensor | None) -> None:
        """`scale` as it is stored, its logarithm."""
        self._encode = encode
        self.scale = float(scale.detach().exp())
        self.bias = 0.0 if bias is None else float(bias.detach())

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Float32 [N, D] of length 1."""
        with torch.inference_mode():
            features = self._encode(list(texts))
            return (features / features.norm(dim=-1, keepdim=True)).numpy()
