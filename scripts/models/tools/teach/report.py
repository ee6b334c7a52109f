"""Render how well a model was taught as JSON and as a table for a terminal."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from scripts.base.console import printable
from scripts.models.tools.evaluate.report import Evaluation, count_images, details, listed, notes, percent
from scripts.models.tools.evaluate.report import to_json as evaluation_json
from scripts.models.tools.evaluate.statistics import interval
from scripts.models.tools.teach import FORMAT
from scripts.models.tools.teach.comparison import Comparison
from scripts.models.tools.teach.crossvalidation import TARGET
from scripts.models.tools.teach.curve import MORE
from scripts.models.tools.teach.result import FEW, Pair, Teaching

TWICE = {2: "twice"}[MORE]  # how MORE is said
UNUSABLE = "left out: cannot be used"


def table(teaching: Teaching) -> str:
    """Return the report as text for a terminal; long lists are shortened."""
    return "\n".join(_lines(teaching))


def _lines(teaching: Teaching) -> Iterator[str]:
    main = teaching.main
    yield printable(
        f"{main.model}: {main.labels.count} classes taught to {teaching.base} ({main.engine} {main.precision}) with "
        f"{count_images(len(teaching.learned))}, {main.seconds:.1f} s"
    )
    yield ""
    yield notes(_summary(teaching))
    yield from details(main, UNUSABLE)
    for title, rows in findings(teaching):
        yield from listed(title, rows)


def _summary(teaching: Teaching) -> Iterator[tuple[str, str, str]]:
    taught = teaching.taught
    yield _accuracy("cross-validated", teaching.cross_validated, "answered by heads that had not seen them")
    if teaching.tested:
        yield _accuracy("held out", teaching.tested, "answered by the model")
    others = ", ".join(f"{name} {percent(value)}" for name, value in list(taught.accuracies.items())[1:])
    yield "method", taught.method, f"{percent(taught.accuracies[taught.method])} cross-validated; {others}"
    if teaching.curve.expected is not None:
        yield f"{TWICE} the images", f"about {percent(teaching.curve.expected)}", curve_in_words(teaching)
    if replaced := teaching.replaced:
        yield "replaced model", percent(replaced.before / replaced.images), compared(replaced)
    right = percent(teaching.right_where_sure())
    yield "unsure below", f"{taught.unsure_below:.2f}", f"{right} of the other answers are right"
    yield "unsure", percent(teaching.main.metrics.unsure), "of these images"


def _accuracy(name: str, evaluation: Evaluation, how: str) -> tuple[str, str, str]:
    metrics = evaluation.metrics
    low, high = interval(metrics.top_1, metrics.images)
    return name, percent(metrics.top_1), f"{percent(low)} to {percent(high)}; {count_images(metrics.images)} {how}"


def curve_in_words(teaching: Teaching) -> str:
    """Return the learning curve's points in one line."""
    points = ", ".join(f"{percent(point.accuracy)} with {point.images}" for point in teaching.curve.points)
    return f"cross-validated: {points}"


def compared(replaced: Comparison) -> str:
    """Return the comparison with the replaced model in one line."""
    return (
        f"{percent(replaced.now / replaced.images)} now, on the same {count_images(replaced.images)}; "
        f"{replaced.only_now} are right now alone, {replaced.only_before} were right before alone"
    )


def findings(teaching: Teaching) -> list[tuple[str, list[str]]]:
    """Return what to look at in the images: a title and a line for each, without the kinds of which there are none."""
    examples = teaching.examples
    doubts = [
        f"{examples[each.position].name}: is in {teaching.label(each.truth)}, "
        f"looks like {teaching.label(each.answered)}"
        for each in teaching.doubts
    ]
    small = [f"{teaching.label(index)}: {count_images(count)}" for index, count in teaching.small_classes()]
    kinds = [
        ("probably in the wrong folder", doubts),
        ("nearly the same image in two classes", [_pair(each) for each in teaching.near]),
        ("nearly the same as a learned image, not held out", [_pair(each) for each in teaching.leaked]),
        ("copies, left out", [f"{each.file}: {each.reason}" for each in teaching.copies]),
        (f"classes with fewer than {FEW} images to learn from", small),
    ]
    return [(f"{title} ({len(rows)})", rows) for title, rows in kinds if rows]


def _pair(pair: Pair) -> str:
    return ", ".join(one.name for one in pair)


def to_json(teaching: Teaching) -> str:
    """Return the report as JSON."""
    taught = teaching.taught
    document = {
        "format": FORMAT,
        "base": teaching.base,
        "method": taught.method,
        "accuracies": taught.accuracies,
        "unsure_below": {"score": taught.unsure_below, "target": TARGET, "right": teaching.right_where_sure()},
        "cross_validated": _evaluation(teaching.cross_validated),
        "held_out": teaching.tested and _evaluation(teaching.tested),
        "replaced": teaching.replaced and asdict(teaching.replaced),
        "learning_curve": asdict(teaching.curve),
        "probably_mislabelled": [
            {"file": teaching.examples[each.position].name, "truth": each.truth, "answered": each.answered,
             "score": round(each.score, 6)}
            for each in teaching.doubts
        ],
        "near_duplicates": [[one.name for one in pair] for pair in teaching.near],
        "near_duplicates_not_held_out": [[one.name for one in pair] for pair in teaching.leaked],
        "copies": [asdict(each) for each in teaching.copies],
        "small_classes": [{"index": index, "images": count} for index, count in teaching.small_classes()],
        "answers": list(_answers(teaching)),
    }  # fmt: skip
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    low, high = interval(evaluation.metrics.top_1, evaluation.metrics.images)
    document: dict[str, Any] = json.loads(evaluation_json(evaluation))
    document["unsure_below"].pop("rule")  # another one than that of an evaluation
    return {"accuracy": evaluation.metrics.top_1, "interval": [low, high]} | document


def _answers(teaching: Teaching) -> Iterator[dict[str, Any]]:
    """Yield for each image what the model answers, and for a learned one what heads that had not seen it answered."""
    unseen = dict(zip([one.digest for one in teaching.learned], teaching.taught.scores, strict=True))
    for one in teaching.examples:
        served, before = teaching.served[one.digest], unseen.get(one.digest)
        yield {
            "file": one.name,
            "truth": one.truth,
            "held_out": one.held_out,
            "answered": int(served.argmax()),
            "score": round(float(served.max()), 6),
            "cross_validated": None if before is None else int(before.argmax()),
        }
