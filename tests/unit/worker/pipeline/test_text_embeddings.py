"""The heads of a zero-shot model: where they are found before a text tower is asked, and what becomes of new ones."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import zero_shot_folders
from tests.errors import code_of
from worker.contract.errors import ErrorCode
from worker.contract.fields import ModelError
from worker.models.folder import ModelFolder, read_folder
from worker.models.loaders import load_text_tower
from worker.models.zero_shot import TextTower, ZeroShot
from worker.pipeline import text_embeddings as texts
from worker.pipeline.admission import Deadline
from worker.pipeline.text_embeddings import Texts, open_texts

TEMPLATE = "a photo of a {}."
LABELS = ["red", "green"]
Tower = Callable[[], TextTower]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    home = tmp_path_factory.mktemp("texts")
    return read_folder(zero_shot_folders.added(zero_shot_folders.clip(home / "clip"), home / "added"))


class Counted:
    """The folder's text tower, and how many times it was loaded."""

    def __init__(self, folder: ModelFolder) -> None:
        self.folder, self.loads = folder, 0

    def __call__(self) -> TextTower:
        self.loads += 1
        return load_text_tower("zero_shot", self.folder.weights, 1)


def opened(folder: ModelFolder, cache: Path | str = "", tower: Tower | None = None) -> tuple[Texts, Counted]:
    assert folder.zero_shot
    counted = Counted(folder)
    return Texts(folder, folder.zero_shot, str(cache), tower or counted), counted


def asked(found: Texts, labels: Sequence[str] = LABELS, template: str | None = TEMPLATE) -> np.ndarray:
    return found.head(labels, template, Deadline(60)).texts


def test_a_folder_that_was_added_needs_no_text_tower(folder: ModelFolder) -> None:
    found, tower = opened(folder)
    assert found.own.texts.shape == (3, 24)
    assert tower.loads == 0


def test_other_templates_are_embedded_once_and_then_taken_from_the_cache(folder: ModelFolder, tmp_path: Path) -> None:
    changed = replace(folder, zero_shot=ZeroShot("zh", ("{}",)))
    first, tower = opened(changed, tmp_path)
    again, second_tower = opened(changed, tmp_path)
    assert (tower.loads, second_tower.loads) == (1, 0)
    assert (first.own.texts == again.own.texts).all()
    assert not np.allclose(first.own.texts, opened(folder)[0].own.texts)
    assert opened(replace(folder, zero_shot=ZeroShot("en", ("{}",))), tmp_path)[1].loads == 1


def test_new_labels_are_embedded_once_a_process_and_once_a_cache(folder: ModelFolder, tmp_path: Path) -> None:
    found, tower = opened(folder, tmp_path)
    first = asked(found)
    assert (asked(found) == first).all()
    assert tower.loads == 1
    again, other = opened(folder, tmp_path)
    assert (asked(again) == first).all()
    assert other.loads == 0


def test_without_a_cache_nothing_outlives_the_process(folder: ModelFolder) -> None:
    before = sorted(folder.path.rglob("*"))
    for _ in range(2):
        found, tower = opened(folder)
        asked(found)
        assert tower.loads == 1
    assert sorted(folder.path.rglob("*")) == before


def test_the_models_own_templates_stand_in_for_none(folder: ModelFolder) -> None:
    found, tower = opened(folder)
    assert (asked(found, ["cat", "dog", "tea"], None) == found.own.texts).all()
    assert tower.loads == 0


def test_a_damaged_file_of_the_cache_is_made_again(folder: ModelFolder, tmp_path: Path) -> None:
    first = asked(opened(folder, tmp_path)[0])
    (file,) = (tmp_path / "texts").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    found, tower = opened(folder, tmp_path)
    assert (asked(found) == first).all()
    assert tower.loads == 1
    assert opened(folder, tmp_path)[1].loads == 0


def test_memory_and_cache_keep_a_bounded_number(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "HELD", 2)
    monkeypatch.setattr(texts, "KEPT", 3)
    found, _ = opened(folder, tmp_path)
    for label in "abcdef":
        asked(found, [label])
    kept = {path.name for path in (tmp_path / "texts").iterdir()}
    assert len(kept) == 3
    assert len(found._held) == 2
    asked(opened(folder, tmp_path)[0], ["f"])
    assert {path.name for path in (tmp_path / "texts").iterdir()} == kept


def test_a_cache_that_cannot_be_written_is_no_reason_not_to_answer(
    folder: ModelFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "texts").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        assert asked(opened(folder, tmp_path)[0]).shape == (2, 24)
    assert caplog.messages[0].startswith("cannot keep text embeddings: ")


class Held:
    """A text tower that embeds nothing before `go` is set."""

    def __init__(self, tower: TextTower) -> None:
        self.scale, self.bias, self._tower = tower.scale, tower.bias, tower
        self.begun, self.go, self.batches = threading.Event(), threading.Event(), 0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.begun.set()
        self.go.wait(60)
        self.batches += 1
        return self._tower.embed(texts)


def test_a_deadline_ends_the_wait_and_soon_the_work(folder: ModelFolder) -> None:
    held = Held(load_text_tower("zero_shot", folder.weights, 1))
    found, _ = opened(folder, tower=lambda: held)
    assert code_of(found.head, ["late"] * 100, TEMPLATE, Deadline(0.2)) is ErrorCode.DEADLINE
    assert held.begun.is_set()
    held.go.set()
    assert asked(found).shape == (2, 24)
    assert held.batches == 2  # the one that was begun, and that of the second request


def test_who_waits_for_the_same_labels_is_answered_by_the_same_work(folder: ModelFolder) -> None:
    held = Held(load_text_tower("zero_shot", folder.weights, 1))
    found, _ = opened(folder, tower=lambda: held)
    answers: list[np.ndarray] = []
    clients = [threading.Thread(target=lambda: answers.append(asked(found))) for _ in range(4)]
    for client in clients:
        client.start()
    held.begun.wait(60)
    held.go.set()
    for client in clients:
        client.join()
    assert len(answers) == 4
    assert held.batches == 1


def no_torch() -> TextTower:
    raise ModuleNotFoundError("No module named 'torch'")


def test_without_torch_new_labels_are_refused_and_known_ones_are_not(folder: ModelFolder, tmp_path: Path) -> None:
    first = asked(opened(folder, tmp_path)[0])
    found, _ = opened(folder, tmp_path, no_torch)
    assert (asked(found) == first).all()
    assert code_of(asked, found, ["blue"]) is ErrorCode.BAD_PARAMETER


def test_without_torch_a_folder_without_embeddings_is_refused(folder: ModelFolder) -> None:
    with pytest.raises(ModelError) as caught:
        opened(replace(folder, zero_shot=ZeroShot("en", ("{}",))), tower=no_torch)
    assert str(caught.value) == (
        f"{folder.path}: holds no embeddings of its labels in its templates, and torch, which makes them, is not here: "
        "add the model again"
    )


def test_other_models_have_no_texts(folder: ModelFolder) -> None:
    assert open_texts(replace(folder, zero_shot=None), "", 1) is None
    found = open_texts(folder, "", 1)
    assert found
    assert asked(found).shape == (2, 24)
