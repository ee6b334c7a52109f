"""Files by their addresses, with the HTTP session of the Hub's client, which takes proxies from the environment.

A download goes on from what an earlier one left; that client's snapshot_download throws it away when its process ends.
"""

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from httpx2 import RequestError
from huggingface_hub import get_session
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

from scripts.base.console import say
from scripts.models.tools.sources import FetchError, Plan, Remote
from scripts.models.tools.sources.progress import bar

PLAIN = {"Accept-Encoding": "identity"}  # else neither sizes nor ranges are those of the file
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
TIMEOUT = 30  # seconds without a byte
RETRIES = 5  # in a row that bring nothing
PAUSE = 1  # seconds before each


def plan(address: str, digest: str = "", source: str = "", loader: str = "", architecture: str = "") -> Plan:
    """The one file at `address`; what to record as its source is the address itself unless given."""
    parts = urlsplit(address)
    name = unquote(parts.path).rpartition("/")[2]
    if not name:
        raise FetchError(f"SOURCE: found {address}, needed an address that ends in a file's name")
    size, version = _look(address)
    headers = {"If-Range": version} if version else {}

    def get(remote: Remote, folder: Path) -> None:
        fetch(address, folder / remote.path, remote.size, digest or version, headers)

    # Without what may be a password or a signature.
    recorded = source or f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return Plan(recorded, (Remote(name, size, digest),), get, loader, architecture)


def fetch(address: str, path: Path, size: int | None, version: str, headers: Mapping[str, str]) -> None:
    """Bring the file to `path`; a part of the same `version` is gone on from, any other is removed."""
    part = path.with_name(f".{path.name}.{hashlib.sha256(version.encode()).hexdigest()[:16]}.part")
    for other in path.parent.glob(f".{path.name}.*.part"):
        if other != part or not version:
            other.unlink()
    left = RETRIES
    while True:
        part.touch()
        before = part.stat().st_size
        try:
            _receive(address, part, path.name, size, headers)
            break
        except RequestError:
            left = RETRIES if part.stat().st_size > before else left - 1
            if not left:
                raise
            say("      the connection broke off: going on")
            time.sleep(PAUSE)
    part.replace(path)


def _receive(address: str, part: Path, name: str, size: int | None, headers: Mapping[str, str]) -> None:
    """Add to `part` what it lacks of the file."""
    start = part.stat().st_size
    asked = PLAIN | dict(headers) | ({"Range": f"bytes={start}-"} if start else {})
    with part.open("ab") as file, get_session().stream("GET", address, headers=asked, timeout=TIMEOUT) as answer:
        if answer.status_code == RANGE_NOT_SATISFIABLE and answer.headers.get("Content-Range") == f"bytes */{start}":
            return  # all of it had come when the earlier download ended
        hf_raise_for_status(answer)
        if answer.status_code != PARTIAL_CONTENT:
            file.truncate(0)
            start = 0
        with bar(name, size, start) as shown:
            for chunk in answer.iter_bytes():
                file.write(chunk)
                shown.update(len(chunk))


def _look(address: str) -> tuple[int | None, str]:
    """The file's bytes, and what changes when it changes; None and "" where the server does not say.

    A server may refuse to be asked so and still give the file: its answer to that is the one to go by.
    """
    answer = get_session().head(address, headers=PLAIN, timeout=TIMEOUT)
    if not answer.is_success:
        return None, ""
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise FetchError(f"SOURCE: found a web page at {address}, needed the address of a model's file")
    length, etag = answer.headers.get("Content-Length", ""), answer.headers.get("ETag", "")
    # A weak tag promises no equal bytes.
    version = answer.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    return int(length) if length.isdigit() else None, version
