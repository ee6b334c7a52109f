"""Render an evaluation as one HTML page with its images and its style inside; it loads nothing from outside."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from scripts.base.console import printable
from scripts.models.tools.evaluate.metrics import BINS, Bin, confusion_matrix
from scripts.models.tools.evaluate.report import (
    MAX_CLASSES,
    Evaluation,
    Mistake,
    percent,
    skipped,
    summary,
)

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
# A second line of defence: even text that was not escaped could neither load nor run anything.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
MAX_PAIRS, MAX_FILES = 30, 500  # rows on the page; the JSON file has all

Cell = tuple[str, str]  # its content as HTML, and its CSS class


def page(evaluation: Evaluation, images: Sequence[str]) -> str:
    """Return the page; `images` are data URLs of the mistakes' thumbnails, "" for a missing one."""
    title = f"{evaluation.model}: {percent(evaluation.metrics.top_1)} right"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{text(title)}</title><style>\n{STYLE}</style>'
    )
    body = "\n".join(_body(evaluation, images))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def text(words: str) -> str:
    """Return `words` escaped for HTML."""
    return escape(printable(words), quote=True)


def _body(evaluation: Evaluation, images: Sequence[str]) -> Iterator[str]:
    yield f"<h1>{text(evaluation.model)}</h1>"
    yield f"<p>{text(evaluation.heading)}</p>"
    conditions = f"{evaluation.source}, {evaluation.created:%Y-%m-%d %H:%M} UTC, {evaluation.machine}"
    yield f'<p class="quiet">{text(conditions)}</p>'
    for title, _ in skipped(evaluation):
        yield f"<p>{text(title)}</p>"
    yield _section("", f"<dl>{''.join(_metric(*row) for row in summary(evaluation))}</dl>")
    yield from _mistakes(evaluation, images)
    yield from _confusions(evaluation)
    yield _section("Classes, lowest recall first", _classes(evaluation))
    if evaluation.metrics.bins:
        yield _section("Calibration", _calibration(evaluation.metrics.bins))
    for title, rows in skipped(evaluation):
        yield _section(title.capitalize(), _files(rows))


def _metric(name: str, value: str, note: str) -> str:
    return f"<div><dt>{text(name)}</dt><dd>{text(value)}<small>{text(note)}</small></dd></div>"


def _section(title: str, content: str) -> str:
    heading = f"<h2>{text(title)}</h2>" if title else ""
    return f"<section>{heading}{content}</section>"


def _table(header: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    head = "".join(_cell("th", *cell) for cell in header)
    body = "\n".join(f"<tr>{''.join(_cell('td', *cell) for cell in row)}</tr>" for row in rows)
    return _scrollable("list", head, body)


def _scrollable(css_class: str, head: str, body: str) -> str:
    table = f"<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody>"
    return f'<div class="scroll"><table class="{css_class}">{table}</table></div>'


def _cell(tag: str, content: str, css_class: str) -> str:
    return f'<{tag} class="{css_class}">{content}</{tag}>' if css_class else f"<{tag}>{content}</{tag}>"


def _number(content: str) -> Cell:
    return content, "number"


def _text(words: str) -> Cell:
    return text(words), ""


def _files(rows: Sequence[tuple[str, str]]) -> str:
    cells = [(_text(name), _text(reason)) for name, reason in rows[:MAX_FILES]]
    more = f"<p>... and {len(rows) - MAX_FILES} more</p>" if len(rows) > MAX_FILES else ""
    return _table((_text("name"), _text("reason")), cells) + more


def _mistakes(evaluation: Evaluation, images: Sequence[str]) -> Iterator[str]:
    """Yield the worst mistakes, each with its image."""
    figures = [_mistake(evaluation, mistake, url) for mistake, url in zip(evaluation.mistakes, images, strict=True)]
    if figures:
        yield _section(
            "Worst mistakes: wrong answers with the highest scores", f'<div class="mistakes">{"".join(figures)}</div>'
        )


def _mistake(evaluation: Evaluation, mistake: Mistake, url: str) -> str:
    image = f'<img src="{url}" alt="">' if url else ""
    answered, truth = text(evaluation.label(mistake.answered)), text(evaluation.label(mistake.truth))
    answer = f"<b>{answered}</b> {mistake.score:.3f}<br>is {truth}"
    return f"<figure>{image}<figcaption>{answer}<br><small>{text(mistake.file)}</small></figcaption></figure>"


def _confusions(evaluation: Evaluation) -> Iterator[str]:
    pairs, classes = evaluation.metrics.confusions, evaluation.metrics.classes
    if len(classes) <= MAX_CLASSES:
        yield _section("Confusion matrix: a row for each true class, a column for each answer", _matrix(evaluation))
    elif pairs:
        rows = [
            (_number(str(pair.images)), _text(evaluation.label(pair.truth)), _text(evaluation.label(pair.answered)))
            for pair in pairs[:MAX_PAIRS]
        ]
        limited = f", the first {MAX_PAIRS} of {len(pairs)} pairs" if len(pairs) > MAX_PAIRS else ""
        header = (_number("images"), _text("class"), _text("answered as"))
        yield _section(f"Most confused{limited}", _table(header, rows))


def _matrix(evaluation: Evaluation) -> str:
    counts, classes = confusion_matrix(evaluation.metrics), evaluation.metrics.classes
    labels = [text(evaluation.label(each.index)) for each in classes]
    rows = []
    for row, (label, each) in enumerate(zip(labels, classes, strict=True)):
        cells = [_matrix_cell(int(count), row == column, each.images) for column, count in enumerate(counts[row])]
        rows.append(f"<tr><th>{label}</th>{''.join(cells)}</tr>")
    head = "".join(f"<th>{label}</th>" for label in labels)
    return _scrollable("matrix", f"<th></th>{head}", "\n".join(rows))


def _matrix_cell(count: int, right: bool, images: int) -> str:
    """Return a cell of the matrix, coloured by its share of the row's images."""
    if not count:
        return "<td></td>"
    return f'<td class="{"right" if right else "wrong"}" style="--share: {count / images:.3f}">{count}</td>'


def _classes(evaluation: Evaluation) -> str:
    rows = [
        [
            *map(_number, (str(each.images), percent(each.recall), percent(each.precision))),
            _text(evaluation.label(each.index)),
            _number(str(each.index)),
        ]
        for each in evaluation.weakest_classes()
    ]
    header = [*map(_number, ("images", "recall", "precision")), _text("class"), _number("index")]
    return _table(header, rows)


def _calibration(bins: Sequence[Bin]) -> str:
    """Return a bar for each bin: its length is the share of right answers, its mark the mean score."""
    rows = []
    for each in bins:
        score_range = f"{each.low:.2f} to {each.high:.2f}"
        numbers = map(_number, (score_range, str(each.images), f"{each.score:.3f}", percent(each.right)))
        bar = f'<i style="--share: {each.right:.3f}"></i><b style="--at: {each.score:.3f}"></b>'
        rows.append([*numbers, (f'<div class="bar">{bar}</div>', "")])
    note = (
        f'<p class="quiet">Answers in {BINS} bins by score. Each bar is the share of right answers, each mark the '
        "mean score: for a calibrated model, bars end at their marks.</p>"
    )
    header = [*map(_number, ("scores", "images", "mean score", "right")), _text("")]
    return note + _table(header, rows)
