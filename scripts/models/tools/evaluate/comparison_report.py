"""Render a comparison of models: as a table for a terminal, as JSON, and as one HTML page."""

import json
from collections.abc import Iterator, Sequence

from scripts.base.console import aligned, printable
from scripts.models.tools.evaluate import COMPARISON_FORMAT
from scripts.models.tools.evaluate.comparison import Answered, Comparison, Pair
from scripts.models.tools.evaluate.html import document, figure, number, section, table, text, words
from scripts.models.tools.evaluate.report import count_images, listed, percent
from scripts.models.tools.evaluate.statistics import difference_interval, interval, mcnemar

SIGNIFICANT = 0.05  # p value below which a difference is called one
MAX_SHOWN = 60  # images on the page; the JSON file has all


def to_text(comparison: Comparison) -> str:
    return "\n".join(_lines(comparison))


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"{_title(comparison)}: {printable(comparison.source)}"
    yield ""
    yield aligned([("model", "right", "95% interval", "runs by", "left out"), *_rows(comparison)])
    for pair in comparison.pairs:
        yield ""
        yield _verdict(comparison, pair)
        yield aligned([(f"   {name}", value) for name, value in _figures(comparison, pair)])
    differing = comparison.differing()
    yield from listed(
        f"one is right, another wrong ({len(differing)})", [_difference(comparison, one) for one in differing]
    )


def _title(comparison: Comparison) -> str:
    return f"{' against '.join(each.model for each in comparison.models)} on {count_images(len(comparison.names))}"


def _rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for model in comparison.models:
        share = comparison.right(model) / len(comparison.names)
        low, high = interval(share, len(comparison.names))
        yield (
            model.model,
            percent(share),
            f"{percent(low)} to {percent(high)}",
            model.runs,
            str(comparison.left_out(model)),
        )


def _names(comparison: Comparison, pair: Pair) -> tuple[str, str]:
    return comparison.models[pair.first].model, comparison.models[pair.second].model


def _verdict(comparison: Comparison, pair: Pair) -> str:
    first, second = _names(comparison, pair)
    if mcnemar(pair.paired) >= SIGNIFICANT:
        return f"{first} and {second}: these images do not tell which one is better"
    better, worse = (first, second) if pair.paired.difference > 0 else (second, first)
    return f"{better} is better than {worse}"


def _figures(comparison: Comparison, pair: Pair) -> Iterator[tuple[str, str]]:
    first, second = _names(comparison, pair)
    paired, (low, high) = pair.paired, difference_interval(pair.paired)
    yield "same answer", f"{percent(pair.same / paired.images)} of the images"
    alone = f"only {first} {paired.only_first}, only {second} {paired.only_second}"
    yield "right", f"both {paired.both}, {alone}, neither {paired.neither}"
    around = f"{100 * low:+.1f} to {100 * high:+.1f}, 95% interval, Newcombe 1998"
    yield f"{first} less {second}", f"{100 * paired.difference:+.1f} points ({around})"
    yield "p value", f"{mcnemar(paired):.3g} (McNemar's test, exact)"


def _difference(comparison: Comparison, name: str) -> str:
    first = comparison.models[0]
    return f"{name}: {first.label(first.images[name][1])}; " + ", ".join(_answers(comparison.models, name))


def _answers(models: Sequence[Answered], name: str) -> Iterator[str]:
    for model in models:
        _, truth, answered, score = model.images[name]
        yield f"{model.model} {'right' if answered == truth else model.label(answered)} {score:.3f}"


def to_json(comparison: Comparison) -> str:
    """Return the comparison as JSON; bytes in file names that are not UTF-8 are left as surrogates."""
    total = len(comparison.names)
    models = []
    for model in comparison.models:
        right = comparison.right(model)
        models.append(
            {
                "name": model.model, "version": model.version, "runs": model.runs, "right": right,
                "accuracy": right / total, "interval": interval(right / total, total),
                "left_out": comparison.left_out(model),
            }
        )  # fmt: skip
    pairs = []
    for pair in comparison.pairs:
        first, second = _names(comparison, pair)
        paired = pair.paired
        pairs.append(
            {
                "first": first, "second": second, "same_answer": pair.same / paired.images,
                "both_right": paired.both, "only_first_right": paired.only_first,
                "only_second_right": paired.only_second, "neither_right": paired.neither,
                "difference": paired.difference, "interval": difference_interval(paired), "p_value": mcnemar(paired),
            }
        )  # fmt: skip
    differing = [
        {
            "file": name,
            "answers": [
                {"model": each.model, "answered": each.label(each.images[name][2]), "score": each.images[name][3],
                 "right": each.images[name][1] == each.images[name][2]}
                for each in comparison.models
            ],
        }
        for name in comparison.differing()
    ]  # fmt: skip
    document = {
        "format": COMPARISON_FORMAT, "place": comparison.source, "images": total,
        "models": models, "pairs": pairs, "differing": differing,
    }  # fmt: skip
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def shown(comparison: Comparison) -> list[str]:
    """Return the names of the images that the page shows."""
    return comparison.differing()[:MAX_SHOWN]


def to_page(comparison: Comparison, images: Sequence[str]) -> str:
    """Return the page; `images` are data URLs of the thumbnails of those that `shown` returns."""
    title = _title(comparison)
    header = [words(each) for each in ("model", "right", "95% interval", "runs by", "left out")]
    body = [f"<h1>{text(title)}</h1>", f'<p class="quiet">{text(comparison.source)}</p>']
    body.append(section("", table(header, [[words(cell) for cell in row] for row in _rows(comparison)])))
    for pair in comparison.pairs:
        rows = [(words(name), number(text(value))) for name, value in _figures(comparison, pair)]
        body.append(section(text(_verdict(comparison, pair)), table((words(""), words("")), rows)))
    if names := shown(comparison):
        total = len(comparison.differing())
        more = f", the first {len(names)} of {total}" if total > len(names) else ""
        figures = [figure(url, text(_difference(comparison, name))) for name, url in zip(names, images, strict=True)]
        heading = text(f"One is right, another wrong{more}")
        body.append(section(heading, f'<div class="mistakes">{"".join(figures)}</div>'))
    return document(title, "\n".join(body))
