"""HTTP requests to a worker or the gateway, and the first prediction that `make up` prints."""

import json
import shlex
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError

PREDICT_TIMEOUT_S = 30
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would not reach this machine


def get(url: str, timeout_s: float = 2, key: str = "") -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object that `url` answers to a request, with `key` unless that is empty.

    The object is empty if the body is anything else; the status is 0 if nothing answers.
    """
    try:
        request = urllib.request.Request(url, headers=authorization(key))  # noqa: S310 - an address of our own
        with _DIRECT.open(request, timeout=timeout_s) as response:
            return response.status, _json(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _json(error.read())
    except (OSError, HTTPException):
        return 0, {}


def authorization(key: str) -> dict[str, str]:
    """Return the header of a request with `key`; none if that is empty."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def print_prediction(endpoint: str, image: Path, key: str = "") -> None:
    """Post `image` to the endpoint; print the equivalent curl command and the predictions.

    Raise CommandError if there is no answer, or if it is an error status or not JSON.
    """
    request = urllib.request.Request(  # noqa: S310 - the URL is our own endpoint
        f"{endpoint}/predict?top_k=3",
        data=image.read_bytes(),
        headers={"Content-Type": "application/octet-stream", **authorization(key)},
    )
    try:
        with _DIRECT.open(request, timeout=PREDICT_TIMEOUT_S) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise CommandError(
            f"{endpoint}/predict answered {error.code}: {error.read().decode(errors='replace')}"
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        raise CommandError(f"{endpoint}/predict: no answer: {str(error).strip()}") from error
    path = image.relative_to(Path.cwd()) if image.is_relative_to(Path.cwd()) else image
    header = ' -H "Authorization: Bearer $KEY"' if key else ""
    say(f"\n  curl{header} -F {shlex.quote(f'image=@{path}')} {endpoint}/predict\n")
    for row in answer["predictions"]:
        names = [row[key] for key in ("label_zh", "label_en") if row[key]] or [row["label"]]
        say(f"  {row['score']:7.1%}  {'  '.join(names)}")
    say(f"\n  answered by {answer['worker']} in {answer['timing_ms']['total']:.1f} ms")


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
