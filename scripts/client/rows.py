"""The rows of a results file as CSV, JSON lines or a JSON list: how one is written, and how those of a file are read.

Rows are only ever appended. A row that was cut off when the command was killed is not among those that are read.
"""

import csv
import io
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from scripts.client.wanwu_client import Answer, Prediction, WanwuError

BOM = b"\xef\xbb\xbf"  # by which spreadsheet programs know UTF-8
# A spreadsheet program runs a cell that begins so as a formula; one that begins with ' is marked, too, so that no two
# names get the same cell.
FORMULA = re.compile(r"\s*[=+\-@＝＋－＠']|[\t\r\n]")


class NotOurs(Exception):
    """The file holds something other than these rows: what was found, and what was needed."""


@dataclass(frozen=True)
class Row:
    """A row of a file: the image's name, whether it failed, its bytes, and where in the file it ends."""

    name: str
    failed: bool
    data: bytes
    end: int


def row_name(path: str) -> str:
    """Return the text that stands for the path in a row: bytes that are not UTF-8 as \\xNN, a backslash doubled."""
    return path.replace("\\", "\\\\").encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class Format(ABC):
    """A format of results; `head` begins the file, `tail` ends it."""

    head = b""
    tail = b""

    @abstractmethod
    def row(self, name: str, result: Answer | WanwuError) -> bytes:
        """Return the row of an image."""

    @abstractmethod
    def read(self, file: IO[bytes]) -> Iterator[Row]:
        """Yield the complete rows of a file after its head; raise NotOurs if it holds anything else."""

    def separator(self, first: bool) -> bytes:
        """Return what stands before a row."""
        return b""


class JsonLines(Format):
    """An object per line: `file`, and the service's answer or its error."""

    def row(self, name: str, result: Answer | WanwuError) -> bytes:
        body = {"error": error_row(result)} if isinstance(result, WanwuError) else result.raw
        return _json({"file": row_name(name), **body}) + b"\n"

    def read(self, file: IO[bytes]) -> Iterator[Row]:
        end = file.tell()
        for line in file:
            end += len(line)
            if line.endswith(b"\n"):
                yield _json_row(line, line, end)


class JsonList(JsonLines):
    """A list of the same objects, each on a line of its own."""

    head, tail = b"[", b"\n]\n"

    def row(self, name: str, result: Answer | WanwuError) -> bytes:
        return super().row(name, result).rstrip(b"\n")

    def separator(self, first: bool) -> bytes:
        return b"\n" if first else b",\n"

    def read(self, file: IO[bytes]) -> Iterator[Row]:
        if file.readline() not in (b"\n", b""):
            raise NotOurs('found a JSON file of another form, needed "[" alone on its first line')
        end = file.tell()
        for line in file:
            data = line.rstrip(b",\n")
            if line.endswith(b"\n") and data != b"]":
                yield _json_row(line, data, end + len(data))
            end += len(line)


class Csv(Format):
    """A line per image, with columns for each of `top_k` classes: for spreadsheet programs and pandas alike."""

    def __init__(self, top_k: int) -> None:
        self._top_k = top_k
        classes = [f"{name}{suffix}" for suffix in _suffixes(top_k) for name in ("label", "score", "index")]
        self.columns = ["file", *classes, "confident", "attributes", "model", "version", "ms", "error", "message"]
        self.head = BOM + _csv(self.columns)

    def row(self, name: str, result: Answer | WanwuError) -> bytes:
        if isinstance(result, WanwuError):
            error = error_row(result)
            cells: list[Any] = [None] * (len(self.columns) - 3) + [error["code"], error["message"]]
        else:
            cells = [*self._classes(result), result.confident, _attributes(result), result.model, result.version]
            cells += [result.total_ms, None, None]
        return _csv([row_name(name), *cells])

    def _classes(self, answer: Answer) -> list[Any]:
        cells = [cell for one in answer.predictions[: self._top_k] for cell in (one.label, one.score, one.index)]
        return cells + [None] * (3 * self._top_k - len(cells))

    def read(self, file: IO[bytes]) -> Iterator[Row]:
        end, data = file.tell(), b""
        for line in file:
            data += line
            if data.count(b'"') % 2 or not line.endswith(b"\n"):
                continue  # a name with a line break in it, or a row that was cut off
            end += len(data)
            yield self._read_row(data, end)
            data = b""

    def _read_row(self, data: bytes, end: int) -> Row:
        try:
            (cells,) = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
        except (csv.Error, ValueError) as error:
            raise NotOurs("found a line that is no row of a CSV file, needed one") from error
        if len(cells) != len(self.columns):
            raise NotOurs(f"found a line of {len(cells)} cells, needed {len(self.columns)}")
        return Row(_plain(cells[0]), bool(cells[-2]), data, end)


def error_row(error: WanwuError) -> dict[str, str]:
    """Return an error as rows have it."""
    message = getattr(error, "message", None) or str(error)
    found = {"code": error.code, "message": message}
    return found | ({"request_id": error.request_id} if getattr(error, "request_id", "") else {})  # type: ignore[attr-defined]


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _json_row(line: bytes, data: bytes, end: int) -> Row:
    try:
        found = json.loads(data)
        return Row(found["file"], "error" in found, data, end)
    except (ValueError, TypeError, KeyError) as error:
        text = line[:60].decode(errors="replace").strip()
        raise NotOurs(f"found the line {text!r}, needed an object with `file`") from error


def _suffixes(top_k: int) -> list[str]:
    return ["", *(f"_{rank}" for rank in range(2, top_k + 1))]


def _csv(cells: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerow([_cell(cell) for cell in cells])
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") else cell


def _attributes(answer: Answer) -> str | None:
    """Return `ripeness: ripe 0.93; marks: light 0.8, reddish 0.6`, None if the model has no attributes."""
    groups = {name: ", ".join(map(_scored, found)) for name, found in answer.attributes.items()}
    return "; ".join(f"{name}: {text}" for name, text in groups.items()) or None


def _scored(prediction: Prediction) -> str:
    return f"{prediction.label} {prediction.score:g}"
