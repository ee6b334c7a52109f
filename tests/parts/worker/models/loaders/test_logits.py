"""For every loader: its network, through the engine, gives the logits of its library's own few lines."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests import folders
from worker.models import torchvision_ops

torchvision_ops.make_importable()


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_serving_a_prepared_network_imports_no_torch(tmp_path: Path) -> None:
    path = folders.onnx_folder(tmp_path / "m")
    code = (
        "import sys; from pathlib import Path; from worker.engines import load_engine; "
        "from worker.models.folder import read_folder; "
        f"load_engine(read_folder(Path({str(path)!r})), 'auto', 1); print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
