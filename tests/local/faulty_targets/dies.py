import os
import signal
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import Check
from tests.fuzz.mutation import varied as vary

__all__ = ["examples", "opened", "vary"]


def examples() -> st.SearchStrategy[bytes]:
    return st.sampled_from([b"lives", b"lives on", b"dies"])


def opened(folder: Path) -> Check:
    def check(data: bytes) -> None:
        if data == b"dies":
            os.kill(os.getpid(), signal.SIGSEGV)

    return check
