"""The text heads of a zero-shot model: where they are looked up, when they are embedded, where they are saved."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import zero_shot_folders
from tests.errors import code_of
from tests.wait import until
from worker.contract.errors import ErrorCode
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder, read_folder
from worker.models.loaders import load_text_tower
from worker.models.zero_shot import BATCH, TextTower, ZeroShot
from worker.pipeline import text_embeddings
from worker.pipeline.admission import Deadline
from worker.pipeline.text_embeddings import TextHeads, open_text_heads

TEMPLATE = "a photo of a {}."
LABELS = ["red", "green"]
Tower = Callable[[], TextTower]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    home = tmp_path_factory.mktemp("texts")
    return read_folder(zero_shot_folders.add_model(zero_shot_folders.clip(home / "clip"), home / "added"))


class CountedTower:
    """Load the folder's text tower and count how often."""

    def __init__(self, folder: ModelFolder) -> None:
        self.folder, self.loads = folder, 0

    def __call__(self) -> TextTower:
        self.loads += 1
        return load_text_tower("zero_shot", self.folder.weights, 1)


def opened(folder: ModelFolder, cache: Path | str = "", tower: Tower | None = None) -> tuple[TextHeads, CountedTower]:
    assert folder.zero_shot
    counted = CountedTower(folder)
    return TextHeads(folder, folder.zero_shot, str(cache), tower or counted), counted


def embeddings(heads: TextHeads, labels: Sequence[str] = LABELS, template: str | None = TEMPLATE) -> np.ndarray:
    return heads.head(labels, template, Deadline(60)).texts


def test_a_folder_that_was_added_needs_no_text_tower(folder: ModelFolder) -> None:
    found, tower = opened(folder)
    assert found.own_head.texts.shape == (3, 24)
    assert tower.loads == 0


def test_other_templates_are_embedded_once_and_then_taken_from_the_cache(folder: ModelFolder, tmp_path: Path) -> None:
    changed = replace(folder, zero_shot=ZeroShot("zh", ("{}",)))
    first, tower = opened(changed, tmp_path)
    again, second_tower = opened(changed, tmp_path)
    assert (tower.loads, second_tower.loads) == (1, 0)
    assert (first.own_head.texts == again.own_head.texts).all()
    assert not np.allclose(first.own_head.texts, opened(folder)[0].own_head.texts)
    assert opened(replace(folder, zero_shot=ZeroShot("en", ("{}",))), tmp_path)[1].loads == 1


def test_new_labels_are_embedded_once_a_process_and_once_a_cache(folder: ModelFolder, tmp_path: Path) -> None:
    found, tower = opened(folder, tmp_path)
    first = embeddings(found)
    assert (embeddings(found) == first).all()
    assert tower.loads == 1
    again, other = opened(folder, tmp_path)
    assert (embeddings(again) == first).all()
    assert other.loads == 0


def test_without_a_cache_nothing_outlives_the_process(folder: ModelFolder) -> None:
    before = sorted(folder.path.rglob("*"))
    for _ in range(2):
        found, tower = opened(folder)
        embeddings(found)
        assert tower.loads == 1
    assert sorted(folder.path.rglob("*")) == before


def test_without_a_template_the_models_own_are_used(folder: ModelFolder) -> None:
    found, tower = opened(folder)
    assert (embeddings(found, ["cat", "dog", "tea"], None) == found.own_head.texts).all()
    assert tower.loads == 0


def test_a_damaged_file_of_the_cache_is_made_again(folder: ModelFolder, tmp_path: Path) -> None:
    first = embeddings(opened(folder, tmp_path)[0])
    (file,) = (tmp_path / "texts").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    found, tower = opened(folder, tmp_path)
    assert (embeddings(found) == first).all()
    assert tower.loads == 1
    assert opened(folder, tmp_path)[1].loads == 0


def test_memory_and_cache_keep_a_bounded_number(
    folder: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_embeddings, "MEMORY_ENTRIES", 2)
    monkeypatch.setattr(text_embeddings, "DISK_ENTRIES", 3)
    found, _ = opened(folder, tmp_path)
    for label in "abcdef":
        embeddings(found, [label])
    kept = {path.name for path in (tmp_path / "texts").iterdir()}
    assert len(kept) == 3
    assert len(found._memory) == 2
    embeddings(opened(folder, tmp_path)[0], ["f"])
    assert {path.name for path in (tmp_path / "texts").iterdir()} == kept


def test_a_cache_that_cannot_be_written_does_not_fail_a_request(
    folder: ModelFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "texts").write_text("a file where the directory belongs")
    with caplog.at_level(logging.WARNING):
        assert embeddings(opened(folder, tmp_path)[0]).shape == (2, 24)
    assert caplog.messages[0].startswith("cannot save text embeddings: ")


class BlockedTower:
    """A text tower that embeds nothing before `go` is set."""

    def __init__(self, tower: TextTower) -> None:
        self.scale, self.bias, self._tower = tower.scale, tower.bias, tower
        self.started, self.go, self.batches = threading.Event(), threading.Event(), 0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.started.set()
        self.go.wait(60)
        self.batches += 1
        return self._tower.embed(texts)


def test_labels_that_take_longer_than_the_deadline_are_kept_for_the_next_request(folder: ModelFolder) -> None:
    blocked = BlockedTower(load_text_tower("zero_shot", folder.weights, 1))
    found, _ = opened(folder, tower=lambda: blocked)
    labels = [f"label {number}" for number in range(3 * BATCH)]
    assert code_of(found.head, labels, TEMPLATE, Deadline(0.2)) is ErrorCode.DEADLINE
    assert blocked.started.is_set()
    assert found.known(labels, TEMPLATE) is None
    blocked.go.set()
    again = embeddings(found, labels)
    assert blocked.batches == 3
    assert np.allclose(again, embeddings(opened(folder)[0], labels), atol=1e-6)


def test_kept_labels_are_known_once_they_are_embedded(folder: ModelFolder, tmp_path: Path) -> None:
    blocked = BlockedTower(load_text_tower("zero_shot", folder.weights, 1))
    found, _ = opened(folder, tmp_path, tower=lambda: blocked)
    assert code_of(found.head, LABELS, TEMPLATE, Deadline(0.01)) is ErrorCode.DEADLINE
    blocked.go.set()
    until("the labels are known", lambda: found.known(LABELS, TEMPLATE))
    other, tower = opened(folder, tmp_path)
    assert other.known(LABELS, TEMPLATE)
    assert tower.loads == 0


def test_labels_that_another_worker_saves_meanwhile_are_taken_from_the_cache(
    folder: ModelFolder, tmp_path: Path
) -> None:
    blocked = BlockedTower(load_text_tower("zero_shot", folder.weights, 1))
    found, _ = opened(folder, tmp_path, tower=lambda: blocked)
    labels = [f"label {number}" for number in range(9 * BATCH)]
    assert code_of(found.head, labels, TEMPLATE, Deadline(0.01)) is ErrorCode.DEADLINE
    expected = embeddings(opened(folder, tmp_path)[0], labels)
    blocked.go.set()
    assert (embeddings(found, labels) == expected).all()
    assert blocked.batches == 1  # the one that had begun


def test_concurrent_requests_for_the_same_labels_embed_them_once(folder: ModelFolder) -> None:
    blocked = BlockedTower(load_text_tower("zero_shot", folder.weights, 1))
    found, _ = opened(folder, tower=lambda: blocked)
    answers: list[np.ndarray] = []
    clients = [threading.Thread(target=lambda: answers.append(embeddings(found))) for _ in range(4)]
    for client in clients:
        client.start()
    blocked.started.wait(60)
    blocked.go.set()
    for client in clients:
        client.join()
    assert len(answers) == 4
    assert blocked.batches == 1


def no_torch() -> TextTower:
    raise ModuleNotFoundError("No module named 'torch'")


def test_without_torch_new_labels_are_refused_and_known_ones_are_not(folder: ModelFolder, tmp_path: Path) -> None:
    first = embeddings(opened(folder, tmp_path)[0])
    found, _ = opened(folder, tmp_path, no_torch)
    assert (embeddings(found) == first).all()
    assert code_of(embeddings, found, ["blue"]) is ErrorCode.BAD_PARAMETER


def test_without_torch_a_folder_without_embeddings_is_refused(folder: ModelFolder) -> None:
    with pytest.raises(ModelError) as caught:
        opened(replace(folder, zero_shot=ZeroShot("en", ("{}",))), tower=no_torch)
    assert str(caught.value) == (
        f"{folder.path}: found no embeddings of its labels in its templates, needed them or torch to make them: "
        "add the model again"
    )


def test_other_models_have_no_text_heads(folder: ModelFolder) -> None:
    assert open_text_heads(replace(folder, zero_shot=None), "", 1) is None
    found = open_text_heads(folder, "", 1)
    assert found
    assert embeddings(found).shape == (2, 24)
