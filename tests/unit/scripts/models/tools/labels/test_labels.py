"""Label files as tools write them."""

import io
import json
from pathlib import Path

import pytest
import yaml

from scripts.models.tools.labels import read_label_file
from worker.contract.toml_reader import ModelError

CAT = ("cat", "dog", "tea")
BEFORE, AFTER = "the index before each label is left out", "the index after each label is left out"
SYNSET, ORDERED = "the synset before each label is left out", "the labels are ordered by their indices"
FROM_1 = "the indices from 1 to 3 are taken as 0 to 2"
TENCH = ("tench, Tinca tinca", "goldfish, Carassius auratus")
KERAS = {"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}
PBTXT = """item {
  id: 2
  name: "n02"
  display_name: "dog"
}
item { id: 1 name: 'cat' }
item {
  name: "tea"
  id: 3
}
"""


def read(path: Path, text: str | bytes, name: str = "l.txt", language: str = "en", classes: int = 0) -> tuple[str, ...]:
    return read_with_notes(path, text, name, language, classes)[0]


def read_with_notes(
    path: Path, text: str | bytes, name: str = "l.txt", language: str = "en", classes: int = 0
) -> tuple[tuple[str, ...], list[str]]:
    (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    labels, notes = read_label_file(path / name, language, classes)
    return labels, [note.removeprefix(f"{name}: ") for note in notes]


def fault(path: Path, text: str | bytes, name: str = "l.txt", language: str = "en", classes: int = 0) -> str:
    with pytest.raises(ModelError) as caught:
        read(path, text, name, language, classes)
    return str(caught.value).removeprefix(f"{path / name}: ")


@pytest.mark.parametrize(
    ("text", "labels", "notes"),
    [
        ("cat\ndog\ntea", CAT, []),
        ("cat\ndog\ntea\n\n \n", CAT, []),
        ("\ufeffcat\r\ndog\r\ntea\r\n", CAT, []),
        ("cat\rdog\rtea\r", CAT, []),
        *((f"0{mark}cat\n1{mark}dog\n2{mark}tea\n", CAT, [BEFORE])
          for mark in (" ", ": ", ":", ",", ", ", "\t", ";", " - ".replace("-", "="), ") ", ". ", "|")),
        ("0  cat\n1  dog\n2  tea\n", CAT, [BEFORE]),
        ("1 cat\n2 dog\n3 tea\n", CAT, [BEFORE, FROM_1]),
        ("2 tea\n0 cat\n1 dog\n", CAT, [BEFORE, ORDERED]),
        ("cat,0\ndog,1\ntea,2\n", CAT, [AFTER]),
        ("dog: 2\ncat: 1\ntea: 3\n", CAT, [AFTER, FROM_1, ORDERED]),
        ("n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n", TENCH, [SYNSET]),
        ("n01440764\ttench\nn01443537\tgoldfish\n", ("tench", "goldfish"), [SYNSET]),
        ("0 n01440764 tench\n1 n01443537 goldfish\n", ("tench", "goldfish"), [BEFORE, SYNSET]),
        ("n02119789 1 kit_fox\nn02100735 2 English_setter\n", ("kit_fox", "English_setter"),
         [SYNSET, BEFORE, "the indices from 1 to 2 are taken as 0 to 1"]),
        ("1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n",
         ("001.Black_footed_Albatross", "002.Laysan_Albatross"),
         [BEFORE, "the indices from 1 to 2 are taken as 0 to 1"]),
        ('"cat",\n"dog",\n"tea"\n', CAT, []),
    ],
)  # fmt: skip
def test_lines_are_read_without_index_and_synset(
    tmp_path: Path, text: str, labels: tuple[str, ...], notes: list[str]
) -> None:
    assert read_with_notes(tmp_path, text) == (labels, notes)


@pytest.mark.parametrize(
    "labels",
    [
        ("3 of clubs", "4 of clubs", "joker"),
        ("1 euro", "2 euro", "5 euro"),
        ("1 euro", "2 euro"),
        ("2 of clubs", "2 of hearts", "3 of clubs"),
        ("type 1", "type 2", "type 3"),
        ("Boeing 737", "Boeing 747"),
        ("1", "2", "3"),
        ("10k gold", "14k gold"),
        ("0.5 mm", "1.0 mm"),
        ("n01440764", "n01443537"),
        ("cat, tabby", "dog, poodle"),
        ("label", "name"),
        ("hot dog", "(other)", "'s-Hertogenbosch"),
    ],
)
def test_labels_that_have_numbers_of_their_own_stay_as_they_are(tmp_path: Path, labels: tuple[str, ...]) -> None:
    assert read_with_notes(tmp_path, "\n".join(labels), classes=len(labels)) == (labels, [])


def test_what_only_the_number_of_classes_reveals(tmp_path: Path) -> None:
    assert read(tmp_path, "label\ncat\ndog\ntea\n", classes=3) == CAT
    assert read(tmp_path, "# classes\ncat\ndog\ntea\n", classes=3) == CAT
    assert read(tmp_path, "cat, dog, tea\n", classes=3) == CAT
    assert read(tmp_path, "cat, dog, tea\n") == ("cat, dog, tea",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0: cat\n2: tea\n", "found 2 labels with indices up to 2, but none for 1: add a label for each of the"),
        ("0,cat\n0,dog\n1,tea\n", "found index 0 more than once, needed each index once"),
        ("5,cat\n6,dog\n", "found 2 labels with indices up to 6, but none for 1, 2, 3, 4: add"),
        ('{"cat": 0, "dog": 0}', "found index 0 more than once"),
        ('{"0": "cat", "7": "dog"}', "but none for 1, 2, 3, 4, 5 and 1 more: add a label"),
        ('{"0": 1, "1": 0}', "found numbers on both sides, needed labels on one"),
        ('{"0": null}', "found nothing in place of a label, needed a text"),
        ('{"epoch": "x"}', "found epoch, needed a mapping of indices and labels, or one of the keys id2label, "),
        ("[]", "found nothing, needed a list of labels, or a mapping of indices and labels"),
        ('{"0": "cat",', "is not valid JSON: "),
        ("item { id: 1 }", "item 1 needs an id and a name: add them"),
        ("id,name\n0,cat\n1\n", "line 3 has fewer fields than the heading: complete it"),
    ],
)
def test_indices_that_are_not_those_of_all_classes_are_refused(tmp_path: Path, text: str, found: str) -> None:
    assert found in fault(tmp_path, text)


def test_a_missing_background_is_named(tmp_path: Path) -> None:
    assert fault(tmp_path, PBTXT, "map.pbtxt", classes=4) == (
        "found labels of the classes 1 to 3, the network has 4 outputs: add the label of class 0, such as background"
    )


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (list(CAT), CAT),
        ({str(index): label for index, label in enumerate(CAT)}, CAT),
        ({"1": "cat", "2": "dog", "3": "tea"}, CAT),
        (KERAS, ("tench", "goldfish")),
        ([["n01440764", "tench"], ["n01443537", "goldfish"]], ("tench", "goldfish")),
        ([[1, "dog"], [0, "cat"]], ("cat", "dog")),
        ({"cat": 0, "tea": 2, "dog": 1}, CAT),
        ({"class_to_idx": {"cat": 0, "tea": 2, "dog": 1}, "epoch": 3}, CAT),
        ({"model_type": "vit", "id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0}}, ("cat", "dog")),
        ({"categories": [{"id": 2, "name": "dog"}, {"id": 1, "name": "cat", "supercategory": "x"}]}, ("cat", "dog")),
        ([{"name": "cat"}, {"name": "dog"}], ("cat", "dog")),
        ({"cat": {"id": 0}, "dog": {"id": 1}}, ("cat", "dog")),
        ({"label_names": ["cat", "dog"]}, ("cat", "dog")),
        (["1 euro", "2 euro"], ("1 euro", "2 euro")),
    ],
)
def test_json_is_read(tmp_path: Path, value: object, labels: tuple[str, ...]) -> None:
    for name in ("l.json", "l.txt"):
        assert read(tmp_path, json.dumps(value, indent=2, ensure_ascii=False), name) == labels
    assert read(tmp_path, repr(value)) == labels  # a Python dictionary or list, as print writes it


@pytest.mark.parametrize("name", ["data.yaml", "data.yml", "data.txt"])
def test_the_names_of_ultralytics_yaml_are_read(tmp_path: Path, name: str) -> None:
    labels = ["no", "on", "1", "tench, Tinca tinca", "null", "猫"]
    for names in (labels, dict(enumerate(labels))):
        for flow in (False, None):
            text = io.StringIO("# from a tool\n")
            content = {"path": "../x", "train": "images", "nc": 6, "names": names}
            yaml.safe_dump(content, text, sort_keys=False, allow_unicode=True, default_flow_style=flow)
            assert read(tmp_path, text.getvalue(), name) == tuple(labels)
    assert read(tmp_path, "path: x\nnames:\n  0: no\n  1: yes # comment\n", name) == ("no", "yes")
    assert read(tmp_path, "names: ['cat', 'dog']\n", name) == ("cat", "dog")
    assert read(tmp_path, "0: cat\n1: dog\n", "l.yaml") == ("cat", "dog")


@pytest.mark.parametrize(
    "text",
    [
        "id,name\n0,cat\n1,dog\n2,tea\n",
        "index;label\r\n2;tea\r\n0;cat\r\n1;dog\r\n",
        'class\tname\n0\tcat\n1\tdog\n2\t"tea"\n',
        ",label\n0,cat\n1,dog\n2,tea\n",
        "label,name\n1,cat\n2,dog\n3,tea\n",
        "name,id,color\ncat,0,red\ntea,2,\ndog,1,blue\n",
        "synset,label,description\nn01,cat,a\nn02,dog,b\nn03,tea,c\n",
    ],
)
def test_a_table_with_a_heading_is_read(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text, "l.csv") == CAT


def test_a_label_map_of_tensorflow_is_read(tmp_path: Path) -> None:
    assert read_with_notes(tmp_path, PBTXT, "map.pbtxt") == (("cat", "dog", "tea"), [FROM_1, ORDERED])


@pytest.mark.parametrize(
    ("labels", "language", "encoding", "name"),
    [
        (("猫", "狗", "茶"), "zh", "gb18030", "GB18030"),
        (("T恤", "波斯猫"), "zh", "gbk", "GB18030"),
        (("波斯貓", "紅茶"), "zh-Hant", "big5", "Big5"),
        (("猫", "いぬ", "お茶"), "ja", "shift_jis", "Shift-JIS"),
        (("고양이", "개"), "ko", "euc-kr", "EUC-KR"),
        (("кошка", "чай"), "ru", "cp1251", "Windows-1251"),
        (("żaba", "źdźbło"), "pl", "cp1250", "Windows-1250"),
        (("café", "crème brûlée", "Größe"), "en", "cp1252", "Windows-1252"),
        (("piña", "it’s"), "es", "cp1252", "Windows-1252"),
        (("猫", "cat"), "zh", "utf-16", "UTF-16"),
        (("cat", "dog"), "en", "utf-16-le", "UTF-16"),
        (("cat", "dog"), "en", "utf-16-be", "UTF-16"),
        (("cat", "猫"), "en", "utf-32", "UTF-32"),
    ],
)
def test_the_encoding_that_the_language_has_on_windows_is_read(
    tmp_path: Path, labels: tuple[str, ...], language: str, encoding: str, name: str
) -> None:
    assert read_with_notes(tmp_path, "\r\n".join(labels).encode(encoding), language=language) == (
        labels, [f"read as {name}"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "language", "encoding", "remedy"),
    [
        ("波斯猫\n红茶", "en", "gbk", ", with `iconv -f gb18030 -t utf-8` if it is in GB18030, as it seems"),
        ("café\ncat", "zh", "cp1252", ", with `iconv -f cp1252 -t utf-8` if it is in Windows-1252, as it seems"),
        ("波斯貓\n紅茶", "zh", "big5", ""),
        ("кошка\nчай", "en", "cp1251", ""),
        ("żaba\nźdźbło", "en", "cp1250", ""),
    ],
)
def test_an_encoding_that_is_not_certain_is_refused(
    tmp_path: Path, text: str, language: str, encoding: str, remedy: str
) -> None:
    found = fault(tmp_path, text.encode(encoding), language=language)
    assert found.startswith("byte ")
    assert found.endswith(" is not UTF-8: save the file as UTF-8" + remedy)
