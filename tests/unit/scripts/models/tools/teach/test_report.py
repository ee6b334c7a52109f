"""The report of a taught model: the page, the table and the JSON say the same, and the page loads nothing."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from scripts.models.tools.evaluate.dataset import SkippedFile
from scripts.models.tools.teach.curve import Point, expected, learning_curve
from scripts.models.tools.teach.doubts import doubts
from scripts.models.tools.teach.features import FINGERPRINT_BYTES, Seen
from scripts.models.tools.teach.images import Example, Lesson
from scripts.models.tools.teach.judging import Conditions, learn
from scripts.models.tools.teach.page import page, shown
from scripts.models.tools.teach.report import table, to_json
from scripts.models.tools.teach.result import FEW, Teaching
from tests.html_page import Page
from worker.models.labels import Labels

HOSTILE = "<script>alert('1')</script>&\"\x1b[31m"
SHOWN = "<script>alert('1')</script>&\"\\x1b[31m"  # as text, with its control characters escaped
DATA = "data:image/jpeg;base64,AAAA"
WIDTH, LEARNED, HELD_OUT = 16, 10, 4


def taught(names: tuple[str, ...] = (HOSTILE, "b", "c")) -> Teaching:
    """Learn features around a centre for each class; the last image that is learned of class 0 belongs to class 1."""
    rng = np.random.default_rng(0)
    centres = np.random.default_rng(9).normal(size=(len(names), WIDTH))
    examples, seen = list[Example](), dict[str, Seen]()
    for truth in range(len(names)):
        for number in range(LEARNED + HELD_OUT):
            name = f"{truth}/{number}.png" if (truth, number) != (0, LEARNED - 1) else HOSTILE
            centre = centres[1 if name == HOSTILE else truth]
            examples.append(Example(Path(name), name, truth, f"{truth}-{number}", number >= LEARNED))
            values = (5 + centre + rng.normal(0, 0.3, WIDTH)).astype(np.float32)
            seen[examples[-1].digest] = Seen(values[np.newaxis], rng.integers(0, 256, FINGERPRINT_BYTES, np.uint8))
    seen["0-0"] = seen["1-0"]  # in two classes
    seen[f"2-{LEARNED}"] = seen["2-1"]  # learned and held out
    lesson = Lesson(Labels({"en": names, "zh": ("猫",) * len(names)}), examples)
    lesson.keep(examples, [SkippedFile("broken.png", HOSTILE)], [SkippedFile("again.png", "the same image as 1/1.png")])
    return learn(Conditions("things", "base", "int8", Path("/images"), 2, time.monotonic()), lesson, seen)


@pytest.fixture(scope="module")
def teaching() -> Teaching:
    return taught()


def test_what_is_found_in_the_images_is_in_every_form_of_the_report(teaching: Teaching) -> None:
    urls = dict.fromkeys(shown(teaching), DATA)
    source, document, lines = page(teaching, urls), json.loads(to_json(teaching)), table(teaching).splitlines()
    found = {each["file"] for each in document["probably_mislabelled"]}
    assert HOSTILE in found
    assert document["near_duplicates"] == [["0/0.png", "1/0.png"]]
    assert document["near_duplicates_not_held_out"] == [["2/1.png", f"2/{LEARNED}.png"]]
    assert document["copies"] == [{"file": "again.png", "reason": "the same image as 1/1.png"}]
    assert document["small_classes"] == [{"index": index, "images": LEARNED} for index in range(3)]
    assert document["held_out"]["images"]["evaluated"] == 3 * HELD_OUT - 1
    assert [each["images"] for each in document["learning_curve"]["points"]] == [6, 15, 30]
    texts = Page(source).texts
    assert {SHOWN, "0/0.png", "1/0.png", f"2/{LEARNED}.png", "again.png"} <= {*texts}
    assert any(f"fewer than {FEW} images" in line for line in texts)
    for title in (
        "probably in the wrong folder", "nearly the same image in two classes",
        "nearly the same as a learned image, not held out (1)", "copies, left out (1)", "left out: cannot be used (1)",
        f"classes with fewer than {FEW} images to learn from (3)",
    ):  # fmt: skip
        assert [line for line in lines if line.startswith(title)], title


def test_the_page_is_whole_in_both_languages_and_loads_nothing(teaching: Teaching) -> None:
    urls = dict.fromkeys(shown(teaching), DATA)
    parsed = Page(page(teaching, urls))
    tags = {tag for tag, _ in parsed.elements}
    assert "svg" in tags
    assert not tags & {"script", "link", "iframe", "object"}
    sources = {value for _, attributes in parsed.elements for name, value in attributes.items() if name == "src"}
    assert sources == {DATA}
    languages = [attributes.get("lang") for tag, attributes in parsed.elements if tag == "span"]
    assert languages.count("en") == languages.count("zh") > 10
    assert {"Confusion matrix", "混淆矩阵"} <= {*parsed.texts}


def test_many_classes_are_drawn_in_part(teaching: Teaching) -> None:
    many = taught(tuple(f"class {number}" for number in range(40)))
    assert "The 30 classes with the lowest recall." in page(many, {})
    assert len(Page(page(many, {})).elements) < 4000


def test_the_curve_goes_on_as_the_errors_fall() -> None:
    assert expected((Point(50, 0.8), Point(100, 0.9), Point(200, 0.95))) == pytest.approx(0.975)
    assert expected((Point(50, 0.9), Point(100, 0.8))) == pytest.approx(0.8)  # more images did not help
    assert expected((Point(100, 0.9),)) is None
    truth = np.repeat([0, 1], 20)
    curve = learning_curve(lambda chosen: np.arange(40) < chosen.sum(), truth, np.ones(40, bool))
    assert curve.points == (Point(10, 0.25), Point(20, 0.5), Point(40, 1))
    assert learning_curve(lambda chosen: chosen, np.repeat([0, 1], 2), np.ones(4, bool)).expected is None


def test_an_image_that_looks_like_another_class_is_doubted() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.45, 0.55], [0.2, 0.8], [0.1, 0.9]], np.float32)
    (doubt,) = doubts(scores, np.array([0, 0, 0, 0, 1, 1]))
    assert (doubt.position, doubt.truth, doubt.answered) == (2, 0, 1)
