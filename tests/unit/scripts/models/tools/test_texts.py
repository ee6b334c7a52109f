"""`model-add` of a zero-shot network: the language and templates of its labels, and bad input."""

from pathlib import Path

import pytest

from scripts.models.tools import add, verify
from scripts.models.tools.texts import TEMPLATES, read_templates
from tests import zero_shot_folders
from tests.folders import openvino_folder
from tests.options import model_add
from worker.models.folder import read_folder, verify_files
from worker.models.zero_shot import PLACEHOLDER, ZeroShot, head_file

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def source_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source_files")
    for name in ("clip", "chinese_clip"):
        zero_shot_folders.FAMILIES[name](folder / name)
    files = {
        "en.txt": "cat\ndog\n", "zh.txt": "猫\n狗\n", "blank.txt": "cat\n\ndog\n", "templates.txt": "a {}\nthe {}.\n",
        "half.txt": "a {}\na photo\n", "gap.txt": "a {}\n\nthe {}\n", "empty.txt": "",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "latin.txt").write_bytes(b"caf\xe9 {}\n")
    return folder


def run_add(source_files: Path, out: Path, source: str, *arguments: str) -> int:
    out.mkdir()
    command = ["--source", source_files / source, "--name", "small"]
    return add.main(out, model_add(*command, *(part.format(path=source_files) for part in arguments)))


EN, ZH = ("--labels", "en:{path}/en.txt"), ("--labels", "zh:{path}/zh.txt")
BOTH = ("--labels", "en:{path}/en.txt,zh:{path}/zh.txt")


@pytest.mark.parametrize(
    ("source", "arguments", "expected"),
    [
        ("clip", BOTH, ZeroShot("en", TEMPLATES["en"])),
        ("clip", ZH, ZeroShot("zh", TEMPLATES["zh"])),
        ("chinese_clip", BOTH, ZeroShot("zh", TEMPLATES["zh"])),
        ("chinese_clip", EN, ZeroShot("en", TEMPLATES["en"])),
        ("clip", (*BOTH, "--templates", "{path}/templates.txt"), ZeroShot("en", ("a {}", "the {}."))),
    ],
)
def test_labels_in_the_language_of_the_network_are_preferred(
    source_files: Path, tmp_path: Path, source: str, arguments: tuple[str, ...], expected: ZeroShot
) -> None:
    assert run_add(source_files, tmp_path / "out", source, *arguments) == 0
    folder = read_folder(tmp_path / "out")
    verify_files(folder)
    assert folder.zero_shot == expected
    labels = folder.output.labels.names[expected.language]
    assert head_file(folder.files, labels, expected.templates) in folder.files


def test_an_added_model_passes_verification(source_files: Path, tmp_path: Path, capsys: Capture) -> None:
    run_add(source_files, tmp_path / "out", "clip", *EN)
    capsys.readouterr()
    assert verify.main(tmp_path / "out") == 0
    assert '"found": "2 in en, as many as the network has outputs"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "{path}/clip: found no labels: set LABELS=zh:FILE,en:FILE or one of them, one label a line"),
        (("--labels", "en:{path}/blank.txt"), "labels: found line 2 in en blank, needed one label per line"),
        (
            (*EN, "--templates", "{path}/half.txt"),
            "{path}/half.txt: line 2 must contain {{}} once, where the label goes, found 'a photo'",
        ),
        (
            (*EN, "--templates", "{path}/gap.txt"),
            "{path}/gap.txt: line 2 must contain {{}} once, where the label goes, found ''",
        ),
        (
            (*EN, "--templates", "{path}/empty.txt"),
            "{path}/empty.txt: found an empty file, needed one template per line, such as a photo of a {{}}.",
        ),
        (
            (*EN, "--templates", "{path}/latin.txt"),
            "{path}/latin.txt: byte 3 is not UTF-8: save the file as UTF-8",
        ),
    ],
)  # fmt: skip
def test_bad_labels_and_templates_are_refused_with_the_reason(
    source_files: Path, tmp_path: Path, capsys: Capture, arguments: tuple[str, ...], message: str
) -> None:
    assert run_add(source_files, tmp_path / "out", "clip", *arguments) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("!! ")]
    assert lines == [f"!! {message.format(path=source_files)}"]


def test_templates_are_refused_for_a_network_that_reads_no_texts(tmp_path: Path, capsys: Capture) -> None:
    bright = openvino_folder(tmp_path / "bright")
    templates = tmp_path / "templates.txt"
    templates.write_text("a {}\n")
    arguments = ["--labels", f"en:{bright / 'labels.en.txt'}", "--templates", str(templates)]
    assert run_add(bright, tmp_path / "out", "model.xml", *arguments) == 1
    assert capsys.readouterr().err == "!! TEMPLATES: loader openvino reads no texts: leave it out\n"


def test_the_built_in_templates_are_valid(tmp_path: Path) -> None:
    for language, templates in TEMPLATES.items():
        (tmp_path / language).write_text("\n".join(templates), encoding="utf-8")
        assert read_templates(tmp_path / language) == templates
        assert len({template.replace(PLACEHOLDER, "") for template in templates}) == len(templates)
