"""A server's places below a folder of the test: what steps write, they write there."""

from pathlib import Path

import pytest

from scripts.bootstrap import places
from scripts.bootstrap.record import Record


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """The record of a server on which nothing was changed yet."""
    for name, path in vars(places).items():
        if isinstance(path, Path):
            monkeypatch.setattr(places, name, tmp_path / path.relative_to("/"))
    return Record(places.RECORD)
