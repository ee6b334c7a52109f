"""`[zero_shot]` of model.toml, and heads: what embeddings are kept under, and how features become logits by them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from worker.contract.toml_reader import ModelError, TomlReader
from worker.models.zero_shot import (
    BATCH,
    TextHead,
    ZeroShot,
    embed,
    head_file,
    ignore_progress,
    load_head,
    read_zero_shot,
    template_fault,
)

FILES = {"config.json": "1", "model.safetensors": "2", "golden/one.png": "3", "texts/old.npz": "4"}
HEAD = TextHead(np.eye(2, 3, dtype=np.float32), 10.0, -2.0)


class Letters:
    """A tower to foretell: a text's embedding counts three letters, brought to length 1."""

    scale, bias = 3.0, 0.5

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.batches.append(len(texts))
        counts = np.array([[text.count(letter) + 0.5 for letter in "abc"] for text in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def test_logits_do_not_depend_on_the_length_of_the_features() -> None:
    features = np.array([[3, 0, 4], [0, 5, 0]], np.float32)
    assert HEAD(features) == pytest.approx(np.array([[4.0, -2.0], [-2.0, 8.0]]))
    assert HEAD(features * 7) == pytest.approx(HEAD(features))
    assert HEAD(features[0]) == pytest.approx([4.0, -2.0])
    assert HEAD(features).dtype == np.float32


def test_a_saved_head_loads_unchanged_and_leaves_no_other_file(tmp_path: Path) -> None:
    HEAD.save(tmp_path / "texts/a.npz")
    found = load_head(tmp_path / "texts/a.npz")
    assert found is not None
    assert (found.texts == HEAD.texts).all()
    assert (found.scale, found.bias) == (HEAD.scale, HEAD.bias)
    assert [path.name for path in (tmp_path / "texts").iterdir()] == ["a.npz"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not really", b"text", None])
def test_an_unreadable_head_is_not_loaded(tmp_path: Path, damage: bytes | None) -> None:
    file = tmp_path / "a.npz"
    HEAD.save(file)
    complete = file.read_bytes()
    file.write_bytes(complete[:-40] if damage is None else damage)
    assert load_head(file) is None
    assert load_head(tmp_path / "absent.npz") is None


def test_a_head_without_its_scale_is_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", texts=HEAD.texts)
    assert load_head(tmp_path / "a.npz") is None


def test_a_changed_text_or_network_changes_the_name() -> None:
    labels, templates = ["cat", "dog"], ["a {}."]
    names = [
        head_file(FILES, labels, templates),
        head_file(FILES, ["cat", "dogs"], templates),
        head_file(FILES, ["dog", "cat"], templates),
        head_file(FILES, ["cat"], templates),
        head_file(FILES, labels, ["the {}."]),
        head_file(FILES, labels, ["a {}.", "the {}."]),
        head_file(FILES | {"model.safetensors": "5"}, labels, templates),
        head_file(FILES | {"vocab.json": "5"}, labels, templates),
    ]
    assert len(set(names)) == len(names)
    assert all(name.startswith("texts/") and name.endswith(".npz") for name in names)


def test_golden_images_and_prepared_networks_do_not_change_the_name() -> None:
    more = FILES | {"golden/one.png": "6", "prepared/f32.xml": "7"}
    assert head_file(FILES, ["cat"], ["{}"]) == head_file(more, ["cat"], ["{}"])
    assert head_file(dict(reversed(FILES.items())), ("cat",), ("{}",)) == head_file(FILES, ["cat"], ["{}"])


def test_a_label_is_the_normalised_mean_of_its_texts() -> None:
    tower = Letters()
    head = embed(tower, ["aa", "b"], ["{}", "c {}", "cc {}"], ignore_progress)
    for row, label in zip(head.texts, ("aa", "b"), strict=True):
        mean = tower.embed([label, f"c {label}", f"cc {label}"]).mean(axis=0)
        assert row == pytest.approx(mean / np.linalg.norm(mean))
    assert (head.scale, head.bias) == (3.0, 0.5)
    assert head.texts.dtype == np.float32


def test_texts_are_embedded_in_batches_and_on_progress_can_end_that() -> None:
    tower, shares = Letters(), list[float]()

    def on_progress(share: float) -> None:
        shares.append(share)
        if share > 0.4:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        embed(tower, ["a"] * BATCH, ["{}", "b {}"], on_progress)
    assert shares == [0.0, 0.5]
    assert tower.batches == [BATCH]


def read(table: dict[str, object]) -> tuple[ZeroShot, list[str]]:
    fields = TomlReader(table, "model.toml", "zero_shot/")
    found = read_zero_shot(fields, ("zh", "en"))
    try:
        fields.raise_faults()
    except ModelError as error:
        return found, str(error).splitlines()
    return found, []


def test_the_table_names_a_language_and_templates() -> None:
    found, faults = read({"language": "zh", "templates": ["一张{}的照片。", "{}"]})
    assert found == ZeroShot("zh", ("一张{}的照片。", "{}"))
    assert not faults


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {},
            [
                "model.toml: zero_shot/templates: needs a list of one or more strings, found nothing",
                "model.toml: zero_shot/language: needs one of zh, en, found nothing",
            ],
        ),
        (
            {"language": "fr", "templates": ["a photo"]},
            [
                "model.toml: zero_shot/templates: must contain {} once, where the label goes, found 'a photo'",
                "model.toml: zero_shot/language: needs one of zh, en, found 'fr'",
            ],
        ),
        (
            {"language": "en", "templates": "{}", "template": "{}"},
            [
                "model.toml: zero_shot/templates: needs a list of one or more strings, found '{}'",
                "model.toml: zero_shot/template: is not a known key; remove it or correct its spelling",
            ],
        ),
    ],
)
def test_every_fault_of_the_table_is_reported(table: dict[str, object], said: list[str]) -> None:
    assert read(table)[1] == said


@pytest.mark.parametrize("template", ["", "{", "{} and {}", "{label}"])
def test_a_template_has_one_placeholder(template: str) -> None:
    assert template_fault(template) == f"must contain {{}} once, where the label goes, found {template!r}"
