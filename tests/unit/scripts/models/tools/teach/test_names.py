"""Labels from the names of folders, and from labels.csv."""

import re
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.models.tools.teach.names import LABELS_FILE, labels_of


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat", "rolled-in_scale"], {"en": ("cat", "rolled-in_scale")}),
        (["猫_cat", "dog_狗"], {"zh": ("猫", "狗"), "en": ("cat", "dog")}),
        (["猫", "狗_大"], {"zh": ("猫", "狗_大")}),
        (["猫_cat", "tea"], {"zh": ("猫", "tea"), "en": ("cat", "tea")}),
        (["a\nb", "c  d"], {"en": ("a b", "c d")}),
    ],
)
def test_a_name_is_a_label_or_two(tmp_path: Path, names: list[str], expected: dict[str, tuple[str, ...]]) -> None:
    labels, faults = labels_of(tmp_path, names)
    assert (labels.names, faults) == (expected, [])


def test_names_of_every_script_are_labels_and_accents_are_composed(tmp_path: Path) -> None:
    names = ["عربي", "می\u200cخواهم", "👩\u200d🔧", "✈\ufe0f", "cafe\u0301", "a/b"]
    labels, faults = labels_of(tmp_path, names)
    assert faults == []
    assert labels.names["en"] == (*names[:4], "caf\u00e9", "a/b")


@pytest.mark.parametrize("text", ["zh,en\n猫,cat\n狗,dog\n", "猫,cat\n狗,dog\n", "cat,猫\ndog,狗\n"])
def test_a_table_states_both_languages(tmp_path: Path, text: str) -> None:
    (tmp_path / LABELS_FILE).write_text(text, encoding="utf-8-sig")
    assert labels_of(tmp_path, ["dog", "猫"])[0].names == {"zh": ("狗", "猫"), "en": ("dog", "cat")}


def test_a_table_of_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / LABELS_FILE).write_text("猫,cat\n狗\n", encoding="utf-8")
    with pytest.raises(CommandError, match=r"line 2: found .* needed two columns"):
        labels_of(tmp_path, ["cat"])


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["a" * 250, "b"], "found a class name of 250 characters, a+..., needed at most 200: rename the folder"),
        (["a\x07", "b"], r"found the class 'a\\x07', needed printable characters: rename it"),
        (["\udcff", "b"], "needed printable characters"),
        (["a b", "a\nb"], "found several classes called a b, needed names that differ in more than upper and lower"),
        (["Rust", "rust"], "found several classes called Rust, rust, needed names that differ in more than upper"),
        (["\u202egnp", "b"], r"found the class '\\u202egnp', needed printable characters"),
    ],
)
def test_a_name_that_cannot_be_a_label_is_a_fault(tmp_path: Path, names: list[str], fault: str) -> None:
    (found,) = labels_of(tmp_path, names)[1]
    assert re.search(fault, found)
