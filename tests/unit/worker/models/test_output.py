"""`[output]` and `[[golden]]` of model.toml: read strictly, each fault with its place and what is needed."""

import os
import tomllib
from collections.abc import Container
from pathlib import Path

import pytest

from worker.contract.toml_reader import ModelError, TomlReader
from worker.models.output import read_golden, read_output
from worker.models.scores import Group, Output

WORDS = {"en": "apple pear ripe unripe wet", "zh": "苹果 梨 熟 生 湿", "ja": "りんご なし 熟れた 青い ぬれた"}
BARE = """
[output]
activation = "softmax"
[output.labels]
en = "en.txt"
ja = "ja.txt"
zh = "zh.txt"
"""
GROUPS = """
[[output.groups]]
name = "ripeness"
classes = [3, 2]
activation = "softmax"
[[output.groups]]
name = "marks"
classes = [4]
activation = "sigmoid"
threshold = 0.3
"""
GOLDEN = """
[[golden]]
image = "a.png"
index = 0
label = "苹果"
score = 0.5
"""


FILES = {*(f"{language}.txt" for language in WORDS), "a.png"}


def read(folder: Path, text: str, files: Container[str] = FILES) -> Output:
    """The Output that `text` describes for a folder that lists `files`; raises ModelError."""
    for language, words in WORDS.items():
        (folder / f"{language}.txt").write_text("\n".join(words.split()) + "\n")
    top = TomlReader(tomllib.loads(text), "model.toml")
    output = read_output(top.table("output"), folder, files)
    for row in top.tables("golden") if top.has("golden") else []:
        read_golden(row, folder, files, output)
    top.raise_faults()
    return output


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(ModelError) as caught:
        read(folder, text)
    return [line.removeprefix("model.toml: ") for line in str(caught.value).splitlines()]


def test_missing_keys_have_defaults(tmp_path: Path) -> None:
    output = read(tmp_path, BARE)
    assert (output.top_k, output.threshold, output.groups, output.unsure_below) == (5, 0.0, (), None)


def test_every_key_is_parsed(tmp_path: Path) -> None:
    output = read(
        tmp_path,
        BARE.replace("[output.l", "top_k = 1\nthreshold = 0.25\nunsure_below = 0.4\n[output.l") + GROUPS + GOLDEN,
    )
    assert (output.activation, output.top_k, output.threshold, output.unsure_below) == ("softmax", 1, 0.25, 0.4)
    assert output.groups == (Group("ripeness", (3, 2), "softmax"), Group("marks", (4,), "sigmoid", 0.3))
    assert output.main.tolist() == [0, 1]


def test_labels_may_be_in_any_language_with_those_of_the_contract_first(tmp_path: Path) -> None:
    output = read(tmp_path, BARE)
    assert list(output.labels.names) == ["zh", "en", "ja"]
    assert output.labels.names["ja"] == tuple(WORDS["ja"].split())


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            'en = "en', 'en_GB = "en',
            "output/labels/en_GB: is not a language code of 2 to 8 letters or digits, such as en, ja or zh-Hant",
        ),
        ("[output.l", "top_k = 0\n[output.l", "output/top_k: must be at least 1, found 0"),
        ("[output.l", "top_k = 1.5\n[output.l", "output/top_k: needs a whole number, found 1.5"),
        ("[output.l", "threshold = 50\n[output.l", "output/threshold: must be from 0 to 1, found 50"),
        ("[output.l", "unsure_below = 2\n[output.l", "output/unsure_below: must be from 0 to 1, found 2"),
        ("threshold = 0.3", "threshold = -1", "output/groups/1/threshold: must be from 0 to 1, found -1"),
        ('"ripeness"', '""', "output/groups/0/name: needs a string, found ''"),
        ("[4]", "[]", "output/groups/1/classes: needs a list of one or more whole numbers, found []"),
        ("[4]", "[5]", "output/groups/1/classes: must be lines of the labels, 0 to 4, found 5"),
        ("[4]", "[-1]", "output/groups/1/classes: must be lines of the labels, 0 to 4, found -1"),
        ("[4]", "[4, 4]", "output/groups/1/classes: must name each class once, found 4 twice"),
        ("[4]", "[3]", 'output/groups/1/classes: 3 is in group "ripeness" already; a class is in one group at most'),
        (
            "[3, 2]", "[3]",
            "output/groups/0/classes: must be two or more for softmax, "
            "which gives a single class the score 1 for every image",
        ),
        (
            '"marks"', '"ripeness"',
            "output/groups/1/name: 'ripeness' is the name of another group; give each group its own",
        ),
        ("[4]", "[0, 1, 4]", "output/groups: contain all 5 classes; leave out those that compete for the label"),
        (
            '"sigmoid"', '"relu"',
            "output/groups/1/activation: needs one of softmax, sigmoid, none, found 'relu'",
        ),
        (
            'activation = "sigmoid"', 'activation = "none"',
            "output/groups/1/threshold: is not a known key; remove it or correct its spelling",
        ),
        (
            "[4]", "[4]\ncolour = 3",
            "output/groups/1/colour: is not a known key; remove it or correct its spelling",
        ),
        (
            'index = 0\nlabel = "苹果"', 'index = 3\nlabel = "生"',
            'golden/0/index: 3 is in group "ripeness"; name a class that competes for the label',
        ),
    ],
)  # fmt: skip
def test_a_fault_names_the_key_and_the_requirement(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text = BARE + GROUPS + GOLDEN
    assert text.count(old) == 1
    assert fault in faults(tmp_path, text.replace(old, new))


def test_a_single_table_where_a_list_is_needed_is_named_with_its_path(tmp_path: Path) -> None:
    wrong = BARE + '[output.groups]\nname = "ripeness"'
    assert faults(tmp_path, wrong) == [
        "output/groups: needs one or more tables, [[output.groups]], found {'name': 'ripeness'}"
    ]


def test_missing_labels_are_the_only_fault_reported_for_groups(tmp_path: Path) -> None:
    nameless = BARE[: BARE.index("en =")] + GROUPS
    assert faults(tmp_path, nameless) == ["output/labels: must name a file for at least one language, such as zh or en"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("../secret.txt", "'../secret.txt' is not listed under [files]; list it with its sha256"),
        ("/etc/passwd", "'/etc/passwd' is not listed under [files]; list it with its sha256"),
        ("/dev/zero", "'/dev/zero' is not listed under [files]; list it with its sha256"),
    ],
)
def test_files_that_are_not_listed_are_never_read(tmp_path: Path, name: str, fault: str) -> None:
    assert f"output/labels/en: {fault}" in faults(tmp_path, BARE.replace("en.txt", name))
    assert f"golden/0/image: {fault}" in faults(tmp_path, BARE + GOLDEN.replace("a.png", name))


def test_files_outside_the_folder_and_devices_are_never_read(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("root\n" * 5)
    outside = "is outside the model folder; copy it into the folder"
    with pytest.raises(ModelError, match=f"output/labels/en: '../secret.txt' {outside}"):
        read(folder, BARE.replace("en.txt", "../secret.txt"), {*FILES, "../secret.txt"})
    (folder / "link.txt").symlink_to("../secret.txt")
    with pytest.raises(ModelError, match=f"output/labels/en: 'link.txt' {outside}"):
        read(folder, BARE.replace("en.txt", "link.txt"), {*FILES, "link.txt"})
    os.mkfifo(folder / "pipe.txt")
    with pytest.raises(ModelError, match=r"output/labels/en: pipe\.txt is no file; replace it with a text file"):
        read(folder, BARE.replace("en.txt", "pipe.txt"), {*FILES, "pipe.txt"})
