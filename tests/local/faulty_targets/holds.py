from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import Check
from tests.fuzz.mutation import varied as vary
from tests.hostile import WORKER_BYTES

__all__ = ["examples", "opened", "vary"]


def examples() -> st.SearchStrategy[bytes]:
    return st.just(b"little")


def opened(folder: Path) -> Check:
    def check(data: bytes) -> None:
        if data != b"little":
            b"\1" * WORKER_BYTES

    return check
