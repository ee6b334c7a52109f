"""torch's compiler left out of imports, each in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
LOAD = """
import json, sys
from worker.models.loaders import module_of
module_of({loader!r})
import torch, timm, torchvision
before = "torch._dynamo" in sys.modules
network = timm.create_model("test_resnet", num_classes=3).eval()
image = torch.zeros(1, 3, 160, 160)
plain = network(image)
compiled = torch.export.export(network, (image,)).module()(image)
print(json.dumps([before, bool(torch.allclose(plain, compiled, atol=1e-5)), hasattr(torch._dynamo, "optimize")]))
"""


@pytest.mark.parametrize("loader", ["timm"])
def test_a_loader_does_without_the_compiler_and_whoever_needs_it_gets_it_afterwards(loader: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", LOAD.format(loader=loader)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == [False, True, True]
