"""A common interface for the text towers of both libraries."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

Encode = Callable[[list[str]], torch.Tensor]


class Tower:
    """Embeds texts with `encode` (N texts -> float32 [N, D]); logits are similarities times `scale` plus `bias`."""

    def __init__(self, encode: Encode, scale: torch.Tensor, bias: torch.Tensor | None) -> None:
        """Take `scale` as its logarithm, the form in which networks store it."""
        self._encode = encode
        self.scale = float(scale.detach().exp())
        self.bias = 0.0 if bias is None else float(bias.detach())

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the embeddings of the N `texts`: float32 unit vectors [N, D]."""
        with torch.inference_mode():
            features = self._encode(list(texts))
            return (features / features.norm(dim=-1, keepdim=True)).numpy()
