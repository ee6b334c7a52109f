"""LABELS=: files of labels by language, every fault at once."""

from pathlib import Path

import pytest

from scripts.models.labels import file_faults, read_labels, retired_faults

CODE = "needed a language code of 2 to 8 letters or digits, such as en, ja or zh-Hant"
NEEDED = "needed LANGUAGE:FILE, one or several such as zh:FILE,en:FILE"


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("", {}),
        ("en:/a.txt", {"en": "/a.txt"}),
        ("zh:a.txt,en:b.txt,ja:c.txt", {"zh": "a.txt", "en": "b.txt", "ja": "c.txt"}),
        ("ZH-hant:a.txt, pt-br:b.txt", {"zh-Hant": "a.txt", "pt-BR": "b.txt"}),
        ("en:/of, 2026/a,b.txt,ja:c:d.txt", {"en": "/of, 2026/a,b.txt", "ja": "c:d.txt"}),
    ],
)
def test_files_are_listed_by_language(text: str, files: dict[str, str]) -> None:
    assert read_labels(text) == (files, [])


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("labels.txt", [f"LABELS: found 'labels.txt', {NEEDED}"]),
        ("/media/c:labels.txt", [f"LABELS: found '/media/c:labels.txt', {NEEDED}"]),
        ("en:", [f"LABELS: found 'en:', {NEEDED}"]),
        ("en:a.txt,:b.txt", [f"LABELS: found '', {CODE}"]),
        ("e:a.txt,languages:b.txt", [f"LABELS: found 'e', {CODE}", f"LABELS: found 'languages', {CODE}"]),
        ("both:a.txt", [f"LABELS: found 'both', {CODE}"]),
        (
            "en:a.txt,EN:b.txt",
            ["LABELS: found en twice, needed each language once: keep one of its files"],
        ),
    ],
)
def test_every_fault_is_reported(text: str, faults: list[str]) -> None:
    assert read_labels(text)[1] == faults


def test_a_file_must_exist_and_contain_labels(tmp_path: Path) -> None:
    (tmp_path / "blank").write_text(" \n\n")
    (tmp_path / "good").write_text("cat\n")
    files = {"en": f"{tmp_path}/none", "ja": f"{tmp_path}/blank", "zh": f"{tmp_path}/good", "de": str(tmp_path)}
    assert file_faults(files) == [
        f"LABELS: en: {tmp_path}/none: no such file",
        f"LABELS: ja: {tmp_path}/blank: found an empty file, needed one label a line",
        f"LABELS: de: {tmp_path}: no such file",
    ]


def test_retired_variables_are_refused_with_their_replacement() -> None:
    assert retired_faults("") == []
    assert retired_faults("LABELS_EN=/a b.txt") == ["LABELS_EN: no longer supported: set LABELS=en:/a b.txt"]
    assert retired_faults("LABELS_ZH=z.txt LABELS_EN=e.txt") == [
        "LABELS_EN, LABELS_ZH: no longer supported: set LABELS=en:e.txt,zh:z.txt"
    ]
