"""The guard of this folder: whatever starts a process fails the test, also where the test catches the error."""

import multiprocessing
import os
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.unit.conftest import GUARD

WAYS: dict[str, Callable[[], object]] = {
    "subprocess": lambda: subprocess.run(["true"]),
    "fork": os.fork,
    "posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "system": lambda: os.system("true"),  # noqa: S605
    "multiprocessing": multiprocessing.get_context("spawn").Process(target=print).start,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_test_that_starts_a_process_is_found_out_whatever_it_catches(way: str) -> None:
    with suppress(AssertionError):
        WAYS[way]()
    found, GUARD.started[:] = list(GUARD.started), []  # for otherwise this test failed
    assert len(found) == 1
