"""An evaluation as one HTML page that asks for nothing from outside: its images and its style are inside."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from scripts.models.tools.evaluate.metrics import BINS, Bin, matrix
from scripts.models.tools.evaluate.report import MOST_CLASSES, Evaluation, Mistake, left_out, percent, readable, summary

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
# Even a text that got through unescaped could load and run nothing.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
MOST_PAIRS, MOST_FILES = 30, 500  # rows that are shown; the JSON file has all

Cell = tuple[str, str]  # what is in it, as HTML, and its CSS class


def page(found: Evaluation, images: Sequence[str]) -> str:
    """Return the page; `images` are data URLs of the mistakes, "" where there is none."""
    title = f"{found.model}: {percent(found.figures.top_1)} right"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{text(title)}</title><style>\n{STYLE}</style>'
    )
    body = "\n".join(_body(found, images))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def text(words: str) -> str:
    """Return `words` as HTML that shows them as they are."""
    return escape(readable(words), quote=True)


def _body(found: Evaluation, images: Sequence[str]) -> Iterator[str]:
    yield f"<h1>{text(found.model)}</h1>"
    yield f"<p>{text(found.heading)}</p>"
    yield f'<p class="quiet">{text(found.place)}, {found.created:%Y-%m-%d %H:%M} UTC, {text(found.machine)}</p>'
    for title, _ in left_out(found):
        yield f"<p>{text(title)}</p>"
    yield _section("", f"<dl>{''.join(_figure(*one) for one in summary(found))}</dl>")
    yield from _mistakes(found, images)
    yield from _confusions(found)
    yield _section("Classes, lowest recall first", _classes(found))
    if found.figures.bins:
        yield _section("Calibration", _calibration(found.figures.bins))
    for title, rows in left_out(found):
        yield _section(title.capitalize(), _files(rows))


def _figure(name: str, value: str, note: str) -> str:
    return f"<div><dt>{text(name)}</dt><dd>{text(value)}<small>{text(note)}</small></dd></div>"


def _section(title: str, content: str) -> str:
    heading = f"<h2>{text(title)}</h2>" if title else ""
    return f"<section>{heading}{content}</section>"


def _table(heads: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    first = "".join(_cell("th", *head) for head in heads)
    body = "\n".join(f"<tr>{''.join(_cell('td', *cell) for cell in row)}</tr>" for row in rows)
    return _scrolled("list", first, body)


def _scrolled(kind: str, heads: str, body: str) -> str:
    table = f"<thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody>"
    return f'<div class="scroll"><table class="{kind}">{table}</table></div>'


def _cell(tag: str, content: str, kind: str) -> str:
    return f'<{tag} class="{kind}">{content}</{tag}>' if kind else f"<{tag}>{content}</{tag}>"


def _number(content: str) -> Cell:
    return content, "number"


def _text(words: str) -> Cell:
    return text(words), ""


def _files(rows: Sequence[tuple[str, str]]) -> str:
    cells = [(_text(name), _text(reason)) for name, reason in rows[:MOST_FILES]]
    more = f"<p>... and {len(rows) - MOST_FILES} more</p>" if len(rows) > MOST_FILES else ""
    return _table((_text("name"), _text("reason")), cells) + more


def _mistakes(found: Evaluation, images: Sequence[str]) -> Iterator[str]:
    """Yield the worst mistakes, each with its image."""
    figures = [_mistake(found, one, url) for one, url in zip(found.mistakes, images, strict=True)]
    if figures:
        yield _section(
            "Worst mistakes: wrong answers with the highest scores", f'<div class="mistakes">{"".join(figures)}</div>'
        )


def _mistake(found: Evaluation, one: Mistake, url: str) -> str:
    image = f'<img src="{url}" alt="">' if url else ""
    answer = f"<b>{text(found.shown(one.answered))}</b> {one.score:.3f}<br>is {text(found.shown(one.truth))}"
    return f"<figure>{image}<figcaption>{answer}<br><small>{text(one.file)}</small></figcaption></figure>"


def _confusions(found: Evaluation) -> Iterator[str]:
    pairs, classes = found.figures.confusions, found.figures.classes
    if len(classes) <= MOST_CLASSES:
        yield _section("Confusion matrix: a row for each right class, a column for each answer", _matrix(found))
    elif pairs:
        rows = [
            (_number(str(one.images)), _text(found.shown(one.truth)), _text(found.shown(one.answered)))
            for one in pairs[:MOST_PAIRS]
        ]
        shown = f", the first {MOST_PAIRS} of {len(pairs)} pairs" if len(pairs) > MOST_PAIRS else ""
        yield _section(f"Most confused{shown}", _table((_number("images"), _text("class"), _text("answered as")), rows))


def _matrix(found: Evaluation) -> str:
    counts, classes = matrix(found.figures), found.figures.classes
    rows = []
    for row, one in enumerate(classes):
        cells = [_counted(int(count), row == column, one.images) for column, count in enumerate(counts[row])]
        rows.append(f"<tr><th>{text(found.shown(one.index))}</th>{''.join(cells)}</tr>")
    heads = "".join(f"<th>{text(found.shown(one.index))}</th>" for one in classes)
    return _scrolled("matrix", f"<th></th>{heads}", "\n".join(rows))


def _counted(count: int, right: bool, images: int) -> str:
    """Return a cell of the matrix, coloured by the share of its row."""
    if not count:
        return "<td></td>"
    return f'<td class="{"right" if right else "wrong"}" style="--share: {count / images:.3f}">{count}</td>'


def _classes(found: Evaluation) -> str:
    rows = [
        [
            *map(_number, (str(one.images), percent(one.recall), percent(one.precision))),
            _text(found.shown(one.index)),
            _number(str(one.index)),
        ]
        for one in found.weakest()
    ]
    heads = [*map(_number, ("images", "recall", "precision")), _text("class"), _number("index")]
    return _table(heads, rows)


def _calibration(bins: Sequence[Bin]) -> str:
    """Return a bar for each bin, its length the share of right answers, with a mark at the mean score."""
    rows = [
        [
            *map(
                _number, (f"{one.low:.2f} to {one.high:.2f}", str(one.images), f"{one.score:.3f}", percent(one.right))
            ),
            (
                f'<div class="bar"><i style="--share: {one.right:.3f}"></i><b style="--at: {one.score:.3f}"></b></div>',
                "",
            ),
        ]
        for one in bins
    ]
    note = (
        f'<p class="quiet">Answers in {BINS} bins by score. Each bar is the share of right answers, each mark the '
        "mean score: for a calibrated model, bars end at their marks.</p>"
    )
    heads = [*map(_number, ("scores", "images", "mean score", "right")), _text("")]
    return note + _table(heads, rows)
