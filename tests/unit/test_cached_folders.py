"""Model folders are made once and copied after that; a copy is as good as the first."""

from pathlib import Path
from typing import Protocol

import pytest
import torch

from tests import cached_folders
from tests.cached_folders import cached
from tests.folders import SIZE, Bright, openvino_folder, small_network
from worker.models.folder import read_folder, verify_files


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the maker below has worked, in a home of its own."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(cached_folders, "_cache_folder", lambda: home)
    return []


class Make(Protocol):
    def __call__(self, path: Path, /, *, name: str = "x", network: torch.nn.Module | None = None) -> Path: ...


def maker(made: list[Path]) -> Make:
    """Return a maker of folders that notes where it worked."""

    def one(path: Path, *, name: str = "x", network: torch.nn.Module | None = None) -> Path:
        made.append(path)
        path.mkdir()
        (path / "name").write_text(f"{name} {network}")
        return path

    return cached(one)


def test_a_folder_is_made_once_for_each_choice_of_options(made: list[Path], tmp_path: Path) -> None:
    make = maker(made)
    for number, name in enumerate(["a", "a", "b"]):
        assert (make(tmp_path / str(number), name=name) / "name").read_text() == f"{name} None"
    assert len(made) == 2
    (tmp_path / "0/name").write_text("changed")
    assert (make(tmp_path / "3", name="a") / "name").read_text() == "a None"


def test_networks_are_told_apart_by_their_weights(made: list[Path], tmp_path: Path) -> None:
    make, other = maker(made), small_network()
    with torch.no_grad():
        next(other.parameters()).add_(1)
    for number, network in enumerate([small_network(), small_network(), other]):
        make(tmp_path / str(number), network=network)
    assert len(made) == 2


def test_a_network_of_a_tests_own_class_is_made_every_time(made: list[Path], tmp_path: Path) -> None:
    class Own(Bright):
        """Its code may change without a word to anybody."""

    make = maker(made)
    for number in range(2):
        make(tmp_path / str(number), network=Own())
    assert made == [tmp_path / "0", tmp_path / "1"]


def test_a_cached_folder_verifies(tmp_path: Path) -> None:
    for number in range(2):
        folder = read_folder(openvino_folder(tmp_path / str(number)))
        verify_files(folder)
        assert folder.input.geometry.size == (SIZE, SIZE)
