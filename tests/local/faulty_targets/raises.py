from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz import Check
from tests.fuzz.mutation import varied as vary

__all__ = ["examples", "opened", "vary"]


def examples() -> st.SearchStrategy[bytes]:
    return st.binary(max_size=20)


def opened(folder: Path) -> Check:
    def check(data: bytes) -> None:
        if len(data) > 3:
            raise ValueError("too long")
        if data == b"\xff":
            raise KeyError("the wrong byte")

    return check
