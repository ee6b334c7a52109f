"""Small networks of a user's own, which need no library but torch, in model folders."""

from pathlib import Path

import torch

from tests import folders

SMALL = """
import torch

def build(classes):
    layers = [torch.nn.Conv2d(3, 16, 3, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3, stride=2)]
    layers += [torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(32, classes)]
    return torch.nn.Sequential(*layers)
"""
WRAPPED = """
small = build

class Wrapped(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.register_buffer("table", torch.zeros(1))

    def forward(self, pixels):
        return self.network(pixels) + self.extra(pixels)[:, None]

    def extra(self, pixels):
        {extra}

def build(classes):
    return Wrapped(small(classes))
"""
# Python waits for a value from the GPU, which no CUDA graph can hold.
READING = "return pixels.mean(dim=(1, 2, 3)) * (0 if pixels.max() < 99 else 1)"
# A white image makes it read beyond the table, after which CUDA answers this process with nothing but errors.
FRAGILE = "return self.table[(pixels.mean(dim=(1, 2, 3)) > 2).long() * 1_000_000]"
WHITE, RED = (255, 255, 255), folders.RED


def folder(path: Path, extra: str = "") -> Path:
    """Make a model folder of `folders.small_network()`, with the code `extra` of the method of that name."""
    path.mkdir(parents=True)
    (path / "network.py").write_text(SMALL + (WRAPPED.format(extra=extra) if extra else ""))
    network = folders.small_network()
    state = network.state_dict()
    if extra:
        state = {f"network.{name}": value for name, value in state.items()} | {"table": torch.zeros(1)}
    torch.save(state, path / "own.pth")
    return folders.finish(path, network, loader="checkpoint", weights="own.pth", extra="trust_code = true\n")
