"""The placements of an evaluation's processes: cores, memory and GPUs."""

from pathlib import Path

import pytest

from scripts.cluster.hardware import Cpu, Gpu, Hardware
from scripts.models.tools.evaluate.run import COPIES, PROCESS_BYTES, placements
from scripts.models.tools.prepare.isolated import Placement
from scripts.models.tools.prepare.measure import MEMORY_SHARE

WEIGHTS = 1_000_000
CPUS = tuple(Cpu(number, number % 4, 0, 0) for number in range(8))  # four cores with two threads each
GPUS = tuple(Gpu(f"GPU-{number}", "a GPU", 0, tuple(range(8))) for number in range(2))
BYTES_PER_PROCESS = PROCESS_BYTES + COPIES * WEIGHTS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "weights").write_bytes(bytes(WEIGHTS))
    return tmp_path


def hardware(processes: float) -> Hardware:
    """Return a machine with enough memory for `processes` processes."""
    return Hardware(CPUS, GPUS, int(processes * BYTES_PER_PROCESS / MEMORY_SHARE))


def test_every_core_has_a_process(folder: Path) -> None:
    assert placements(hardware(4.1), folder, False) == [
        Placement((0, 4)),
        Placement((1, 5)),
        Placement((2, 6)),
        Placement((3, 7)),
    ]


def test_with_little_memory_a_process_has_several_cores(folder: Path) -> None:
    assert placements(hardware(3.9), folder, False) == [Placement((0, 1, 4, 5)), Placement((2, 3, 6, 7))]
    assert placements(hardware(0.1), folder, False) == [Placement(tuple(range(8)))]


def test_every_gpu_has_a_process(folder: Path) -> None:
    assert placements(hardware(4.1), folder, True) == [
        Placement((0, 1, 4, 5), "GPU-0"),
        Placement((2, 3, 6, 7), "GPU-1"),
    ]
