"""Model folders that some of these tests look at."""

import shutil
from pathlib import Path

import pytest

from scripts.models.model_store import EMBEDDED


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two model folders: a copy of `photos`, and a folder without a model."""
    shutil.copytree(EMBEDDED, tmp_path / "models/copy")
    (tmp_path / "models/empty").mkdir()
    (tmp_path / "models/.copy.new").mkdir()
    (tmp_path / "models/notes.txt").write_text("not a folder")
    return tmp_path / "models"
