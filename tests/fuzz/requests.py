"""Requests as bytes: one line of JSON with the path and the headers, then the body."""

import json
from collections.abc import Mapping

from werkzeug.datastructures import Headers

from tests.fuzz.worker_app import Post


def packed(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    return json.dumps([path, dict(headers)]).encode() + b"\n" + body


def posted(post: Post, data: bytes) -> None:
    """Post what `packed` returned, if changes have left it a request."""
    line, _, body = data.partition(b"\n")
    try:
        path, headers = json.loads(line)
        Headers(headers)
        path.encode("ascii")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return
    post(path, body, headers)
