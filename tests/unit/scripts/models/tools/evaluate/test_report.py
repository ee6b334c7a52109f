"""A report of an evaluation: the page asks for nothing and shows every text as it is."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from scripts.models.tools.evaluate.dataset import LeftOut, Unknown
from scripts.models.tools.evaluate.metrics import RULE, Figures, figures
from scripts.models.tools.evaluate.page import page
from scripts.models.tools.evaluate.progress import Progress
from scripts.models.tools.evaluate.report import Evaluation, Mistake, table, to_json
from worker.models.labels import Labels

VOID = {"meta", "img", "br"}
HOSTILE = "<script>alert('1')</script>&\"\x1b[31m\n"
SHOWN = "<script>alert('1')</script>&\"\\x1b[31m\\n"  # as text, its control characters spelt out
DATA = "data:image/jpeg;base64,AAAA"


class Page(HTMLParser):
    """The elements and texts of a page whose elements must be closed in their order."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def found(classes: int = 3, counts: Figures | None = None) -> Evaluation:
    truth = np.array([0, 0, 1, 2, 2])
    best = np.array([[0, 1], [1, 0], [1, 0], [2, 0], [0, 2]])
    counts = counts or figures(truth, best, np.array([0.9, 0.8, 0.7, 0.6, 0.5]), classes, True)
    names = Labels({"en": (HOSTILE, *(f"class {index}" for index in range(1, 40))), "zh": ("猫",) * 40})
    mistakes = [Mistake(HOSTILE, 0, 1, 0.8), Mistake("b.png", 2, 0, 0.5)]
    broken, others = [LeftOut("broken.jpg", HOSTILE)], [LeftOut("notes.txt", "no image")]
    unknown = {HOSTILE: Unknown("no such class", 2), "": Unknown("without a label", 1)}
    how = ("openvino", "int8", "x86_64 avx2", "/images", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), 2, 2.0)
    return Evaluation("pets", "1", names, *how, counts, mistakes, broken, others, unknown)


def many_classes() -> Figures:
    truth = np.arange(40)
    return figures(truth, np.stack([truth[::-1], truth], axis=1), np.full(40, 0.5), 40, True)


def test_the_page_shows_every_text_and_runs_none() -> None:
    source = page(found(), [DATA, ""])
    shown = Page(source)
    assert "script" not in {tag for tag, _ in shown.elements}
    assert "\x1b" not in source
    texts = "".join(shown.texts)
    for text in (f"猫 {SHOWN}", "broken.jpg", "notes.txt", "(none)", RULE, "60.0%"):
        assert text in texts


def test_the_page_asks_for_nothing_from_outside() -> None:
    source = page(found(), [DATA, ""])
    shown = Page(source)
    links = {name: value for _, attributes in shown.elements for name, value in attributes.items()}
    assert {"href", "srcset", "action", "background", "onload", "onerror"}.isdisjoint(links)
    assert [attributes["src"] for tag, attributes in shown.elements if tag == "img"] == [DATA]
    assert {tag for tag, _ in shown.elements}.isdisjoint(
        {"link", "iframe", "object", "embed", "video", "audio", "base"}
    )
    assert not re.search(r"url\(|@import|https?:|//", source.replace(DATA, ""))
    policies = [one.get("content") for tag, one in shown.elements if one.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert "prefers-color-scheme: dark" in source


def cells(source: str) -> Sequence[str]:
    body = source.partition('<table class="matrix">')[2].partition("</table>")[0]
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", body)]


def test_the_whole_matrix_is_shown_of_few_classes_and_the_most_confused_of_many() -> None:
    few, many = page(found(), ["", ""]), page(found(40, many_classes()), ["", ""])
    assert cells(few) == ["1", "1", "", "", "1", "", "1", "", "1"]
    assert "Most confused" not in few
    assert cells(many) == []
    assert "Most confused, the first 30 of 40 pairs" in many


def test_the_json_holds_all_figures() -> None:
    told = json.loads(to_json(found()))
    assert (told["top_1"], told["top_5"], told["unsure_below"]) == (
        0.6, None, {"rule": RULE, "score": 0.81, "unsure": 0.8},
    )  # fmt: skip
    assert told["images"] == {"evaluated": 5, "broken": 1, "not_images": 1, "of_unknown_classes": 3}
    assert told["classes"][1] == {
        "index": 1, "images": 1, "answered": 2, "right": 1, "labels": {"en": "class 1", "zh": "猫"},
        "precision": 0.5, "recall": 1.0,
    }  # fmt: skip
    assert told["confusions"] == [
        {"truth": 0, "answered": 1, "images": 1}, {"truth": 2, "answered": 0, "images": 1},
    ]  # fmt: skip
    assert told["mistakes"][0] == {"file": HOSTILE, "truth": 0, "answered": 1, "score": 0.8}
    assert told["broken"] == [{"file": "broken.jpg", "reason": HOSTILE}]
    assert {"class": HOSTILE, "reason": "no such class", "images": 2} in told["unknown_classes"]


def test_the_table_tells_the_same_and_no_control_characters() -> None:
    lines = table(found()).splitlines()
    assert lines[0] == "pets version 1, openvino int8: 5 images of 3 classes, 2.0 s, 2.5 images/s in 2 processes"
    assert "top-1              60.0%" in lines
    assert "top-5              -       (the model has 5 classes or fewer)" in lines
    assert f"unsure below       0.81    ({RULE}; 80.0% of these answers would be unsure)" in lines
    assert f"2       50.0%   50.0%      猫 {SHOWN}" in lines
    assert f"   0.800  {SHOWN}: 猫 {SHOWN} answered as 猫 class 1" in lines
    assert f"   {SHOWN}: 2 images: no such class" in lines
    assert "\x1b" not in table(found())


def test_long_lists_are_cut_in_the_table_alone() -> None:
    long = replace(found(40, many_classes()), broken=[LeftOut(f"{turn}.jpg", "broken") for turn in range(600)])
    lines, source = table(long).splitlines(), page(long, ["", ""])
    assert "the 10 classes with the lowest recall" in lines
    assert "broken images, left out (600)" in lines
    assert "   ... and 590 more" in lines
    assert "499.jpg" in source
    assert "500.jpg" not in source
    assert "... and 100 more" in source
    assert len(json.loads(to_json(long))["broken"]) == 600


def test_no_border_is_said_to_be_none() -> None:
    counts = replace(found().figures, unsure_below=None, unsure=None)
    assert f"unsure below       -       (there is no such score: {RULE})" in table(found(3, counts)).splitlines()
    bare = replace(counts, calibration_error=None, bins=())
    assert "calibration error  -      (the scores are not probabilities)" in table(found(3, bare)).splitlines()
    assert "Calibration</h2>" not in page(found(3, bare), ["", ""])


def test_progress_is_a_line_for_each_tenth_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(25)
    for _ in range(25):
        progress.one_more()
    progress.end()
    said = capsys.readouterr()
    assert [line.split(" images, ")[0] for line in said.out.splitlines()] == [
        f"   {done}/25" for done in (3, 5, 8, 10, 13, 15, 18, 20, 23, 25)
    ]
    assert re.fullmatch(r"   25/25 images, [0-9.]+ images/s, 0:00 left", said.out.splitlines()[-1])
    assert said.err == ""


def test_progress_is_one_line_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = Progress(2)
    progress.one_more()
    progress.one_more()
    progress.end()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("\r\033[K   1/2 images, ")
    assert "\n" not in said.err
    assert said.err.endswith("\r\033[K")
