from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import MEMORY_BYTES, Check
from tests.fuzz.mutation import varied as vary

__all__ = ["examples", "opened", "vary"]


def examples() -> st.SearchStrategy[bytes]:
    return st.sampled_from([b"little", b"much"])


def opened(folder: Path) -> Check:
    def check(data: bytes) -> None:
        if data == b"much":
            b"\1" * MEMORY_BYTES

    return check
