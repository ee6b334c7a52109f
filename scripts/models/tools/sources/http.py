"""Download files by address, with the HTTP session of the Hub's client, which reads proxies from the environment.

A download resumes where an earlier one stopped; that client's snapshot_download loses it when its process ends.
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
from scripts.models.tools.sources.progress import progress_bar

UNCOMPRESSED = {"Accept-Encoding": "identity"}  # otherwise sizes and ranges would not be those of the file
PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 206, 416
TIMEOUT_S = 30  # without a byte
RETRIES = 5  # in a row without a byte
RETRY_PAUSE_S = 1  # before each retry


def plan(address: str, digest: str = "", source: str = "", loader: str = "", architecture: str = "") -> Plan:
    """Return a plan for the file at `address`; its recorded source is the address unless `source` is set."""
    parts = urlsplit(address)
    name = unquote(parts.path).rpartition("/")[2]
    if not name:
        raise FetchError(f"SOURCE: found {address}, needed an address that ends in a file's name")
    size, version = _size_and_version(address)
    headers = {"If-Range": version} if version else {}

    def get(remote: Remote, folder: Path) -> None:
        fetch(address, folder / remote.path, remote.size, digest or version, headers)

    # Without the user part and the query, which may hold a password or a signature.
    recorded = source or f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return Plan(recorded, (Remote(name, size, digest),), get, loader, architecture)


def fetch(address: str, path: Path, size: int | None, version: str, headers: Mapping[str, str]) -> None:
    """Download the file to `path`; resume a part of the same `version` and remove any other part."""
    part = path.with_name(f".{path.name}.{hashlib.sha256(version.encode()).hexdigest()[:16]}.part")
    for other in path.parent.glob(f".{path.name}.*.part"):
        if other != part or not version:
            other.unlink()
    retries_left = RETRIES
    while True:
        part.touch()
        start = part.stat().st_size
        try:
            _receive(address, part, path.name, size, headers)
            break
        except RequestError:
            retries_left = RETRIES if part.stat().st_size > start else retries_left - 1
            if not retries_left:
                raise
            say("      the connection was lost: resuming")
            time.sleep(RETRY_PAUSE_S)
    part.replace(path)


def _receive(address: str, part: Path, name: str, size: int | None, headers: Mapping[str, str]) -> None:
    """Append the missing bytes to `part`."""
    start = part.stat().st_size
    headers = UNCOMPRESSED | dict(headers) | ({"Range": f"bytes={start}-"} if start else {})
    with part.open("ab") as file, get_session().stream("GET", address, headers=headers, timeout=TIMEOUT_S) as response:
        end = response.headers.get("Content-Range")
        if response.status_code == RANGE_NOT_SATISFIABLE and end == f"bytes */{start}":
            return  # the earlier download had already received every byte
        hf_raise_for_status(response)
        if response.status_code != PARTIAL_CONTENT:
            file.truncate(0)
            start = 0
        with progress_bar(name, size, start) as progress:
            for chunk in response.iter_bytes():
                file.write(chunk)
                progress.update(len(chunk))


def _size_and_version(address: str) -> tuple[int | None, str]:
    """Return the file's size in bytes and a text that changes with its content; None and "" if unknown.

    A server that refuses HEAD may still send the file, so that an error status is left to the GET request.
    """
    response = get_session().head(address, headers=UNCOMPRESSED, timeout=TIMEOUT_S)
    if not response.is_success:
        return None, ""
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise FetchError(f"SOURCE: found a web page at {address}, needed the address of a model's file")
    length, etag = response.headers.get("Content-Length", ""), response.headers.get("ETag", "")
    # A weak ETag does not promise identical bytes.
    version = response.headers.get("Last-Modified", "") if not etag or etag.startswith("W/") else etag
    return int(length) if length.isdigit() else None, version
