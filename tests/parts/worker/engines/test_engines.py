"""The engines' numbers against the libraries' own few lines, on real small networks."""

import subprocess
import sys
from pathlib import Path

import pytest

MASKED = """
import os, re, sys
from pathlib import Path
cpu = max(os.sched_getaffinity(0))
os.sched_setaffinity(0, {cpu})
import numpy as np
from worker.engines import load_engine
from worker.models.folder import read_folder
engine = load_engine(read_folder(Path(sys.argv[1])), sys.argv[2], threads=2)
for _ in range(3):
    engine.infer(np.zeros((4, 32, 32, 3), np.uint8))
tasks = [(task / "status").read_text() for task in Path("/proc/self/task").iterdir()]
masks = {re.search(r"Cpus_allowed_list:\\s*(\\S+)", task)[1] for task in tasks}
print(sys.argv[2] in " ".join(sys.modules), masks == {str(cpu)}, len(tasks))
"""


@pytest.mark.parametrize(("folder", "engine"), [("f32", "openvino"), ("onnx", "onnxruntime"), ("torchvision", "torch")])
def test_engine_threads_stay_inside_the_cpu_mask(model_folders: Path, folder: str, engine: str) -> None:
    command = [sys.executable, "-c", MASKED, str(model_folders / folder), engine]
    result = subprocess.run(command, cwd=Path(__file__).parents[4], capture_output=True, text=True, check=True)
    assert result.stdout.split()[:2] == ["True", "True"]


@pytest.mark.parametrize(("folder", "engine"), [("f32", "openvino"), ("onnx", "onnxruntime")])
def test_engines_for_prepared_networks_import_neither_torch_nor_each_other(
    model_folders: Path, folder: str, engine: str
) -> None:
    show = (
        "import sys; from pathlib import Path; from worker.engines import load_engine; "
        "from worker.models.folder import read_folder; "
        f"load_engine(read_folder(Path({str(model_folders / folder)!r})), {engine!r}, 1); "
        "print(*{name.partition('.')[0] for name in sys.modules} & {'torch', 'openvino', 'onnxruntime'})"
    )
    command = [sys.executable, "-c", show]
    result = subprocess.run(command, cwd=Path(__file__).parents[4], capture_output=True, text=True, check=True)
    assert result.stdout.split() == [engine]
