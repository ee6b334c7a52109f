"""Draw a confusion matrix and a learning curve as SVG. Pure."""

from collections.abc import Sequence

import numpy as np

from scripts.models.tools.evaluate.html import text
from scripts.models.tools.teach.curve import MORE, Curve

CELL, LABEL_WIDTH, LABEL_CHARACTERS = 30, 230, 28
WIDTH, HEIGHT, MARGIN = 480, 220, 44
MAX_DIGITS = 4  # of a number in a cell


def matrix(counts: np.ndarray, labels: Sequence[str]) -> str:
    """Return the picture of the confusion matrix `counts`, int [K, K]: a row for each true class, named by `labels`."""
    side = len(labels) * CELL
    parts = []
    for row, label in enumerate(labels):
        middle = (row + 1) * CELL + CELL / 2 + 4
        short = label if len(label) <= LABEL_CHARACTERS else label[: LABEL_CHARACTERS - 1] + "…"
        parts.append(f'<text x="0" y="{middle}">{row + 1} {text(short)}<title>{text(label)}</title></text>')
        column = LABEL_WIDTH + row * CELL + CELL / 2
        parts.append(f'<text class="middle" x="{column}" y="{CELL - 8}">{row + 1}</text>')
        total = max(int(counts[row].sum()), 1)
        for answered in np.flatnonzero(counts[row]).tolist():
            count = int(counts[row, answered])
            css_class = "right" if answered == row else "wrong"
            x, y = LABEL_WIDTH + answered * CELL, (row + 1) * CELL
            title = f"{label}: {count} answered as {labels[answered]}"
            shown = str(count) if len(str(count)) <= MAX_DIGITS else f"{count // 1000}k"
            parts.append(
                f'<rect class="{css_class}" x="{x}" y="{y}" width="{CELL}" height="{CELL}" '
                f'fill-opacity="{0.15 + 0.75 * count / total:.2f}"><title>{text(title)}</title></rect>'
                f'<text class="middle" x="{x + CELL / 2}" y="{middle}">{shown}</text>'
            )
    frame = f'<rect class="frame" x="{LABEL_WIDTH}" y="{CELL}" width="{side}" height="{side}"/>'
    return _picture(LABEL_WIDTH + side + 1, side + CELL + 1, "".join([*parts, frame]))


def curve_picture(curve: Curve) -> str:
    """Return the picture of `curve`: its points, and a dashed line to what is expected of more images."""
    measured = [(point.images, point.accuracy) for point in curve.points]
    more = [] if curve.expected is None else [(curve.points[-1].images * MORE, curve.expected)]
    values = [value for _, value in [*measured, *more]]
    low = max(min(values) - 0.05, 0)
    places = np.log2([images for images, _ in [*measured, *more]])
    reach = max(float(places[-1] - places[0]), 1e-9)
    x = [MARGIN + float(place - places[0]) / reach * (WIDTH - 2 * MARGIN) for place in places]
    y = [MARGIN + (1 - value) / max(1 - low, 1e-9) * (HEIGHT - 2 * MARGIN) for value in values]
    points = [f"{across:.1f},{down:.1f}" for across, down in zip(x, y, strict=True)]
    parts = [
        f'<line class="frame" x1="{MARGIN}" y1="{HEIGHT - MARGIN}" x2="{WIDTH - MARGIN}" y2="{HEIGHT - MARGIN}"/>',
        f'<polyline class="curve" points="{" ".join(points[: len(measured)])}"/>',
        f'<polyline class="curve more" points="{" ".join(points[len(measured) - 1 :])}"/>',
    ]
    for across, down, (images, value) in zip(x, y, [*measured, *more], strict=True):
        parts.append(f'<circle class="curve" cx="{across:.1f}" cy="{down:.1f}" r="4"/>')
        parts.append(f'<text class="middle" x="{across:.1f}" y="{down - 10:.1f}">{value:.1%}</text>')
        parts.append(f'<text class="middle" x="{across:.1f}" y="{HEIGHT - MARGIN + 18}">{images}</text>')
    return _picture(WIDTH, HEIGHT, "".join(parts))


def interval_bar(share: float, low: float, high: float) -> str:
    """Return the picture of a `share` between 0 and 1 with its confidence interval."""
    bar = (
        f'<rect class="ground" width="200" height="12"/>'
        f'<rect class="right" x="{low * 200:.1f}" width="{max((high - low) * 200, 1):.1f}" height="12" '
        f'fill-opacity="0.5"/><rect class="right" x="{share * 200 - 1:.1f}" width="2" height="12"/>'
    )
    return _picture(200, 12, bar)


def _picture(width: float, height: float, content: str) -> str:
    size = f'width="{width:g}" height="{height:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" {size}>{content}</svg>'
