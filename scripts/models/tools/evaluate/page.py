"""Render an evaluation as one HTML page with its images and its style inside; it loads nothing from outside."""

from collections.abc import Iterator, Sequence

from scripts.models.tools.evaluate.html import (
    document,
    figure,
    metric,
    number,
    scrollable,
    section,
    table,
    text,
    words,
)
from scripts.models.tools.evaluate.metrics import BINS, Bin, confusion_matrix
from scripts.models.tools.evaluate.report import (
    MAX_CLASSES,
    Evaluation,
    Mistake,
    percent,
    skipped,
    summary,
)

MAX_PAIRS, MAX_FILES = 30, 500  # rows on the page; the JSON file has all


def page(evaluation: Evaluation, images: Sequence[str]) -> str:
    """Return the page; `images` are data URLs of the mistakes' thumbnails, "" for a missing one."""
    title = f"{evaluation.model}: {percent(evaluation.metrics.top_1)} right"
    return document(title, "\n".join(_body(evaluation, images)))


def _body(evaluation: Evaluation, images: Sequence[str]) -> Iterator[str]:
    yield f"<h1>{text(evaluation.model)}</h1>"
    yield f"<p>{text(evaluation.heading)}</p>"
    conditions = f"{evaluation.source}, {evaluation.created:%Y-%m-%d %H:%M} UTC, {evaluation.machine}"
    yield f'<p class="quiet">{text(conditions)}</p>'
    for title, _ in skipped(evaluation):
        yield f"<p>{text(title)}</p>"
    yield _section("", f"<dl>{''.join(metric(*map(text, row)) for row in summary(evaluation))}</dl>")
    yield from _mistakes(evaluation, images)
    yield from _confusions(evaluation)
    yield _section("Classes, lowest recall first", _classes(evaluation))
    if evaluation.metrics.bins:
        yield _section("Calibration", _calibration(evaluation.metrics.bins))
    for title, rows in skipped(evaluation):
        yield _section(title.capitalize(), _files(rows))


def _section(title: str, content: str) -> str:
    return section(text(title), content)


def _files(rows: Sequence[tuple[str, str]]) -> str:
    cells = [(words(name), words(reason)) for name, reason in rows[:MAX_FILES]]
    more = f"<p>... and {len(rows) - MAX_FILES} more</p>" if len(rows) > MAX_FILES else ""
    return table((words("name"), words("reason")), cells) + more


def _mistakes(evaluation: Evaluation, images: Sequence[str]) -> Iterator[str]:
    """Yield the worst mistakes, each with its image."""
    figures = [_mistake(evaluation, mistake, url) for mistake, url in zip(evaluation.mistakes, images, strict=True)]
    if figures:
        yield _section(
            "Worst mistakes: wrong answers with the highest scores", f'<div class="mistakes">{"".join(figures)}</div>'
        )


def _mistake(evaluation: Evaluation, mistake: Mistake, url: str) -> str:
    answered, truth = text(evaluation.label(mistake.answered)), text(evaluation.label(mistake.truth))
    answer = f"<b>{answered}</b> {mistake.score:.3f}<br>is {truth}"
    return figure(url, f"{answer}<br><small>{text(mistake.file)}</small>")


def _confusions(evaluation: Evaluation) -> Iterator[str]:
    pairs, classes = evaluation.metrics.confusions, evaluation.metrics.classes
    if len(classes) <= MAX_CLASSES:
        yield _section("Confusion matrix: a row for each true class, a column for each answer", _matrix(evaluation))
    elif pairs:
        rows = [
            (number(str(pair.images)), words(evaluation.label(pair.truth)), words(evaluation.label(pair.answered)))
            for pair in pairs[:MAX_PAIRS]
        ]
        limited = f", the first {MAX_PAIRS} of {len(pairs)} pairs" if len(pairs) > MAX_PAIRS else ""
        header = (number("images"), words("class"), words("answered as"))
        yield _section(f"Most confused{limited}", table(header, rows))


def _matrix(evaluation: Evaluation) -> str:
    counts, classes = confusion_matrix(evaluation.metrics), evaluation.metrics.classes
    labels = [text(evaluation.label(each.index)) for each in classes]
    rows = []
    for row, (label, each) in enumerate(zip(labels, classes, strict=True)):
        cells = [_matrix_cell(int(count), row == column, each.images) for column, count in enumerate(counts[row])]
        rows.append(f"<tr><th>{label}</th>{''.join(cells)}</tr>")
    head = "".join(f"<th>{label}</th>" for label in labels)
    return scrollable("matrix", f"<th></th>{head}", "\n".join(rows))


def _matrix_cell(count: int, right: bool, images: int) -> str:
    """Return a cell of the matrix, coloured by its share of the row's images."""
    if not count:
        return "<td></td>"
    return f'<td class="{"right" if right else "wrong"}" style="--share: {count / images:.3f}">{count}</td>'


def _classes(evaluation: Evaluation) -> str:
    rows = [
        [
            *map(number, (str(each.images), percent(each.recall), percent(each.precision))),
            words(evaluation.label(each.index)),
            number(str(each.index)),
        ]
        for each in evaluation.weakest_classes()
    ]
    header = [*map(number, ("images", "recall", "precision")), words("class"), number("index")]
    return table(header, rows)


def _calibration(bins: Sequence[Bin]) -> str:
    """Return a bar for each bin: its length is the share of right answers, its mark the mean score."""
    rows = []
    for each in bins:
        score_range = f"{each.low:.2f} to {each.high:.2f}"
        numbers = map(number, (score_range, str(each.images), f"{each.score:.3f}", percent(each.right)))
        bar = f'<i style="--share: {each.right:.3f}"></i><b style="--at: {each.score:.3f}"></b>'
        rows.append([*numbers, (f'<div class="bar">{bar}</div>', "")])
    note = (
        f'<p class="quiet">Answers in {BINS} bins by score. Each bar is the share of right answers, each mark the '
        "mean score: for a calibrated model, bars end at their marks.</p>"
    )
    header = [*map(number, ("scores", "images", "mean score", "right")), words("")]
    return note + table(header, rows)
