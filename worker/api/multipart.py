"""Split multipart/form-data (RFC 7578) into its parts.

The cost is bounded whatever a body holds: searches are linear, and parts, their headers and their fields have limits.
"""

import re
from dataclasses import dataclass

from worker.api.header_options import parse_options
from worker.contract.errors import ErrorCode, ServiceError, cut
from worker.contract.limits import (
    MAX_BOUNDARY_CHARACTERS,
    MAX_FIELD_BYTES,
    MAX_FORM_HEADER_BYTES,
    MAX_FORM_PARTS,
    MAX_PART_HEADER_BYTES,
)

LINE_END = re.compile(rb"[ \t]{0,100}\r\n")
FOLD = re.compile(rb"\r\n[ \t]+")
TYPE = re.compile(rb"^content-type:[ \t]{0,100}([^;\r]{0,200})", re.IGNORECASE | re.MULTILINE)
DISPOSITION = re.compile(rb"^content-disposition:(.*)\r$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; `filename` is None unless it has one, `kind` is its media type, "" if it has none."""

    name: str
    filename: str | None
    data: memoryview
    kind: str = ""

    def text(self) -> str:
        """Return the value of a field; raise ServiceError BODY_TOO_LARGE if it exceeds MAX_FIELD_BYTES."""
        if len(self.data) > MAX_FIELD_BYTES:
            raise ServiceError(
                ErrorCode.BODY_TOO_LARGE,
                f'found {len(self.data)} bytes in field "{cut(self.name)}", needed at most {MAX_FIELD_BYTES}: '
                "shorten it",
            )
        return str(self.data, "utf-8", "replace")


def split(body: bytes, boundary: str) -> list[Part]:
    """Return the parts of `body`, none if it is empty; their data are views into it.

    Raise ServiceError NO_IMAGE if it is malformed, BODY_TOO_LARGE if it exceeds a limit.
    """
    if not body:
        return []
    if not boundary:
        raise ServiceError(
            ErrorCode.BAD_REQUEST,
            "found Content-Type multipart/form-data without a boundary, needed the one between the form's parts: "
            "do not set this header by hand, so that your client sets it with its boundary",
        )
    if not 1 <= len(boundary) <= MAX_BOUNDARY_CHARACTERS or not boundary.isascii():
        raise _malformed(
            f"a form without a boundary of 1 to {MAX_BOUNDARY_CHARACTERS} ASCII characters", "one in its Content-Type"
        )
    edge = b"\r\n--" + boundary.encode()
    position = _after(body, edge, 0)
    parts: list[Part] = []
    header_bytes = 0
    while not body.startswith(b"--", position):
        _check(len(parts) + 1, MAX_FORM_PARTS, "parts in the form")
        name, filename, kind, start = _head(body, position)
        header_bytes += start - position
        _check(header_bytes, MAX_FORM_HEADER_BYTES, "bytes of headers in the form")
        position = _after(body, edge, start)
        parts.append(Part(name, filename, memoryview(body)[start : position - len(edge)], kind))
    return parts


def _after(body: bytes, edge: bytes, start: int) -> int:
    """Return the position after the next boundary from `start` on; nothing need precede the first."""
    if start == 0 and body.startswith(edge[2:]):
        return len(edge) - 2
    found = body.find(edge, start)
    if found < 0:
        raise _malformed("a form without the boundary at its start or end", "all of it, its lines ended by CR LF")
    return found + len(edge)


def _head(body: bytes, position: int) -> tuple[str, str | None, str, int]:
    """Return name, file's name and type of the part whose boundary ends at `position`, and where its data start."""
    line = LINE_END.match(body, position)
    if line is None:
        raise _malformed("text after a boundary of the form", "a line end there")
    first = line.end() - 2  # a part without headers starts with the empty line that ends them
    end = body.find(b"\r\n\r\n", first, first + MAX_PART_HEADER_BYTES)
    if end < 0:
        raise _malformed(
            f"a part of the form without an empty line in its first {MAX_PART_HEADER_BYTES} bytes",
            "one after its headers",
        )
    head = FOLD.sub(b" ", body[first : end + 2])
    found, kind = DISPOSITION.search(head), TYPE.search(head)
    if found is None:
        raise _malformed("a part of the form without Content-Disposition", "that header with a name")
    options = parse_options(found[1].decode(errors="replace"))[1]
    declared = kind[1].decode(errors="replace").strip().lower() if kind else ""
    return options.get("name", ""), options.get("filename"), declared, end + 4


def _check(count: int, most: int, counted: str) -> None:
    if count > most:
        raise ServiceError(
            ErrorCode.BODY_TOO_LARGE, f"found more than {most} {counted}, needed at most {most}: send fewer images"
        )


def _malformed(found: str, needed: str) -> ServiceError:
    return ServiceError(ErrorCode.NO_IMAGE, f"found {found}, needed {needed}: correct the form")
