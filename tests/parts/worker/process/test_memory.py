"""How much memory a process releases, measured in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
MEGABYTE = 1 << 20
SHOW = """
import mmap, sys
from pathlib import Path
from worker.process.memory import release_memory

def resident(kind):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(kind))

file = open(sys.argv[1], "rb")
mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
content = mapped[:]
blocks = [bytearray(100_000) for _ in range(500)]
kept = bytearray(b"kept") * 1000
del blocks[::2], blocks[:]
before = resident("RssFile"), resident("RssAnon")
release_memory(*sys.argv[2:])
print(before[0] - resident("RssFile"), before[1] - resident("RssAnon"), mapped[:] == content, kept == b"kept" * 1000)
"""


def released(file: Path, *folders: Path) -> list[str]:
    """Return the released bytes of files and of heap, and whether the file and the heap still read the same."""
    command = [sys.executable, "-c", SHOW, str(file), *map(str, folders)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "a model").mkdir()
    file = tmp_path / "a model/weights (1).bin"
    file.write_bytes(os.urandom(8 * MEGABYTE))
    return file


def test_pages_of_a_models_files_are_released_and_read_again_when_needed(weights: Path) -> None:
    files, _, *same = released(weights, weights.parent)
    assert int(files) >= 7 * MEGABYTE
    assert same == ["True", "True"]


def test_pages_of_other_files_stay(weights: Path, tmp_path: Path) -> None:
    files, _, *same = released(weights, tmp_path / "a mode")
    assert abs(int(files)) < MEGABYTE
    assert same == ["True", "True"]


def test_freed_heap_is_released(weights: Path) -> None:
    assert int(released(weights)[1]) > 0


ALLOCATE = """
import sys, threading
from worker.process.memory import limit_memory

limit_memory(int(sys.argv[1]), 4)
try:
    block = bytearray(int(sys.argv[2]) * 10**6)
    print("allocated")
except MemoryError:
    print("refused")
"""


@pytest.mark.parametrize(
    ("limit", "size", "ends"), [(300, 100, "allocated"), (300, 600, "refused"), (0, 600, "allocated")]
)
def test_an_allocation_beyond_the_limit_fails(limit: int, size: int, ends: str) -> None:
    command = [sys.executable, "-c", ALLOCATE, str(limit), str(size)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split() == [ends]
