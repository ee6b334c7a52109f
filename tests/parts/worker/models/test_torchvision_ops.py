"""torchvision beside a torch that its compiled operators do not fit, in processes of their own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
BROKEN = """
import torch
load = torch.ops.load_library
def unfit(path):
    if "torchvision" in path:
        raise OSError("undefined symbol")
    return load(path)
torch.ops.load_library = unfit  # what a CPU build of torch does with operators built for CUDA
"""
USE = """
import torch
from torchvision.models import get_model
print(tuple(get_model("mobilenet_v3_small", weights=None, num_classes=3).eval()(torch.zeros(1, 3, 32, 32)).shape))
"""
MAKE = "from worker.models.torchvision_ops import make_importable\nmake_importable()\nmake_importable()\n"


def run(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_nothing_is_declared_for_a_torchvision_that_is_not_there_and_without_it_a_mismatched_one_fails() -> None:
    missing = "import importlib.util as u\nfind = u.find_spec\n"
    missing += "u.find_spec = lambda name, *rest: None if name == 'torchvision' else find(name, *rest)\n"
    show = "from worker.models import torchvision_ops\nprint(torchvision_ops._declared)\nu.find_spec = find\n"
    result = run(BROKEN + missing + MAKE + show + USE)
    assert (result.returncode, result.stdout) == (1, "[]\n"), result.stderr
    assert "does not exist" in result.stderr


def test_a_mismatched_torchvision_classifies_with_the_declarations() -> None:
    result = run(BROKEN + MAKE + USE)
    assert (result.returncode, result.stdout) == (0, "(1, 3)\n"), result.stderr
