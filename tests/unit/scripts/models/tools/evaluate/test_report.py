"""The report of an evaluation: the page loads nothing from outside and escapes every text."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from scripts.models.tools.evaluate.dataset import SkippedFile, UnknownName
from scripts.models.tools.evaluate.metrics import RULE, Metrics, compute_metrics
from scripts.models.tools.evaluate.page import page
from scripts.models.tools.evaluate.report import Evaluation, Mistake, table, to_json
from tests.html_page import Page
from worker.models.labels import Labels

HOSTILE = "<script>alert('1')</script>&\"\x1b[31m\n"
SHOWN = "<script>alert('1')</script>&\"\\x1b[31m\\n"  # as text, with its control characters escaped
DATA = "data:image/jpeg;base64,AAAA"


def evaluation(classes: int = 3, metrics: Metrics | None = None) -> Evaluation:
    truth = np.array([0, 0, 1, 2, 2])
    best = np.array([[0, 1], [1, 0], [1, 0], [2, 0], [0, 2]])
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    return Evaluation(
        model="pets",
        version="1",
        labels=Labels({"en": (HOSTILE, *(f"class {index}" for index in range(1, 40))), "zh": ("猫",) * 40}),
        engine="openvino",
        precision="int8",
        machine="x86_64 avx2",
        source="/images",
        created=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        processes=2,
        seconds=2.0,
        metrics=metrics or compute_metrics(truth, best, scores, classes, True),
        mistakes=[Mistake(HOSTILE, 0, 1, 0.8), Mistake("b.png", 2, 0, 0.5)],
        broken=[SkippedFile("broken.jpg", HOSTILE)],
        not_images=[SkippedFile("notes.txt", "no image")],
        unknown={HOSTILE: UnknownName("no such class", 2), "": UnknownName("without a label", 1)},
    )


def metrics_of_many_classes() -> Metrics:
    truth = np.arange(40)
    return compute_metrics(truth, np.stack([truth[::-1], truth], axis=1), np.full(40, 0.5), 40, True)


def test_the_page_shows_every_text_escaped() -> None:
    source = page(evaluation(), [DATA, ""])
    shown = Page(source)
    assert "script" not in {tag for tag, _ in shown.elements}
    assert "\x1b" not in source
    texts = "".join(shown.texts)
    for text in (f"猫 {SHOWN}", "broken.jpg", "notes.txt", "(none)", RULE, "60.0%"):
        assert text in texts


def test_the_page_loads_nothing_from_outside() -> None:
    source = page(evaluation(), [DATA, ""])
    shown = Page(source)
    links = {name: value for _, attributes in shown.elements for name, value in attributes.items()}
    assert {"href", "srcset", "action", "background", "onload", "onerror"}.isdisjoint(links)
    assert [attributes["src"] for tag, attributes in shown.elements if tag == "img"] == [DATA]
    assert {tag for tag, _ in shown.elements}.isdisjoint(
        {"link", "iframe", "object", "embed", "video", "audio", "base"}
    )
    assert not re.search(r"url\(|@import|https?:|//", source.replace(DATA, ""))
    metas = [attributes for tag, attributes in shown.elements if tag == "meta"]
    policies = [meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert "prefers-color-scheme: dark" in source


def cells(source: str) -> Sequence[str]:
    body = source.partition('<table class="matrix">')[2].partition("</table>")[0]
    return [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<td.*?</td>", body)]


def test_few_classes_have_a_confusion_matrix_and_many_a_list_of_pairs() -> None:
    few, many = page(evaluation(), ["", ""]), page(evaluation(40, metrics_of_many_classes()), ["", ""])
    assert cells(few) == ["1", "1", "", "", "1", "", "1", "", "1"]
    assert "Most confused" not in few
    assert cells(many) == []
    assert "Most confused, the first 30 of 40 pairs" in many


def test_the_json_has_all_metrics() -> None:
    document = json.loads(to_json(evaluation()))
    assert (document["top_1"], document["top_5"]) == (0.6, None)
    assert document["unsure_below"] == {"rule": RULE, "score": 0.81, "unsure": 0.8}
    assert document["images"] == {"evaluated": 5, "broken": 1, "not_images": 1, "of_unknown_classes": 3}
    assert document["classes"][1] == {
        "index": 1,
        "images": 1,
        "answered": 2,
        "right": 1,
        "labels": {"en": "class 1", "zh": "猫"},
        "precision": 0.5,
        "recall": 1.0,
    }
    assert document["confusions"] == [
        {"truth": 0, "answered": 1, "images": 1},
        {"truth": 2, "answered": 0, "images": 1},
    ]
    assert document["mistakes"][0] == {"file": HOSTILE, "truth": 0, "answered": 1, "score": 0.8}
    assert document["broken"] == [{"file": "broken.jpg", "reason": HOSTILE}]
    assert {"class": HOSTILE, "reason": "no such class", "images": 2} in document["unknown_classes"]


def test_the_table_has_the_same_metrics_and_no_control_characters() -> None:
    lines = table(evaluation()).splitlines()
    assert lines[0] == "pets version 1, openvino int8: 5 images of 3 classes, 2.0 s, 2.5 images/s in 2 processes"
    assert "top-1              60.0%" in lines
    assert "top-5              -       (the model has 5 classes or fewer)" in lines
    assert f"unsure below       0.81    ({RULE}; 80.0% of these answers would be unsure)" in lines
    assert f"2       50.0%   50.0%      猫 {SHOWN}" in lines
    assert f"   0.800  {SHOWN}: 猫 {SHOWN} answered as 猫 class 1" in lines
    assert f"   {SHOWN}: 2 images: no such class" in lines
    assert "\x1b" not in table(evaluation())


def test_only_the_json_has_long_lists_in_full() -> None:
    broken = [SkippedFile(f"{number}.jpg", "broken") for number in range(600)]
    long = replace(evaluation(40, metrics_of_many_classes()), broken=broken)
    lines, source = table(long).splitlines(), page(long, ["", ""])
    assert "the 10 classes with the lowest recall" in lines
    assert "broken images, left out (600)" in lines
    assert "   ... and 590 more" in lines
    assert "499.jpg" in source
    assert "500.jpg" not in source
    assert "... and 100 more" in source
    assert len(json.loads(to_json(long))["broken"]) == 600


def test_missing_metrics_are_explained() -> None:
    no_threshold = replace(evaluation().metrics, unsure_below=None, unsure=None)
    lines = table(evaluation(3, no_threshold)).splitlines()
    assert f"unsure below       -       (no score meets the rule: {RULE})" in lines
    no_probabilities = replace(no_threshold, calibration_error=None, bins=())
    lines = table(evaluation(3, no_probabilities)).splitlines()
    assert "calibration error  -      (the scores are not probabilities)" in lines
    assert "Calibration</h2>" not in page(evaluation(3, no_probabilities), ["", ""])
