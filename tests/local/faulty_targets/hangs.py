import threading
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import Check
from tests.fuzz.mutation import varied as vary

__all__ = ["examples", "opened", "vary"]


def examples() -> st.SearchStrategy[bytes]:
    return st.sampled_from([b"goes on", b"hangs"])


def opened(folder: Path) -> Check:
    def check(data: bytes) -> None:
        if data == b"hangs":
            threading.Event().wait()

    return check
