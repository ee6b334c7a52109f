"""Parts of an HTML page that loads nothing from outside: its style and images are inside. Every text is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from scripts.base.console import printable

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")
# A second line of defence: even text that was not escaped could neither load nor run anything.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

Cell = tuple[str, str]  # its content as HTML, and its CSS class


def document(title: str, body: str, style: str = "") -> str:
    """Return the page called `title` with the HTML `body`; `style` is CSS besides STYLE."""
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{text(title)}</title><style>\n{STYLE}{style}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def text(words: str) -> str:
    """Return `words` escaped for HTML."""
    return escape(printable(words), quote=True)


def section(heading: str, content: str) -> str:
    """Return a part of the page; `heading` and `content` are HTML."""
    return f"<section>{f'<h2>{heading}</h2>' if heading else ''}{content}</section>"


def metric(name: str, value: str, note: str) -> str:
    """Return one figure for a list of them; all are HTML."""
    return f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>"


def figure(url: str, caption: str) -> str:
    """Return the image at the data URL `url` ("" for none) with the HTML `caption`."""
    image = f'<img src="{url}" alt="">' if url else ""
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def table(header: Sequence[Cell], rows: Iterable[Sequence[Cell]]) -> str:
    head = "".join(_cell("th", *cell) for cell in header)
    body = "\n".join(f"<tr>{''.join(_cell('td', *cell) for cell in row)}</tr>" for row in rows)
    return scrollable("list", head, body)


def scrollable(css_class: str, head: str, body: str) -> str:
    """Return a table of the cells `head` and the rows `body`."""
    content = f"<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody>"
    return f'<div class="scroll"><table class="{css_class}">{content}</table></div>'


def number(content: str) -> Cell:
    return content, "number"


def words(content: str) -> Cell:
    return text(content), ""


def _cell(tag: str, content: str, css_class: str) -> str:
    return f'<{tag} class="{css_class}">{content}</{tag}>' if css_class else f"<{tag}>{content}</{tag}>"
