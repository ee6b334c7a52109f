"""The requests of all loads, and the client of open loops, which checks the label in every answer.

It measures each latency from the moment the request was due, so that a delayed send counts as the server's latency
(this avoids "coordinated omission", a term of Gil Tene's).
"""

import base64
import http.client
import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any

MAX_CONNECTIONS = 256  # a request that is due while all are busy waits, and its wait counts
BOUNDARY = "wanwu-bench"
LABEL_KEYS = ("predictions", "label", "category", "output")  # of this service, the baseline, MOSEC and LitServe


def run(
    address: str, path: str, encoding: str, labels: Mapping[str, str], rate: float, seconds: float, timeout_s: float
) -> dict[str, Any]:
    """Send the image files in `labels`, which holds each one's expected label, at `rate`/s; wait for all answers.

    Return the `answers` that had the expected label, the latencies of these, and all other outcomes as `errors`.
    """
    requests = [(*encode(encoding, Path(image).read_bytes()), label) for image, label in sorted(labels.items())]

    def send(number: int, due: float) -> tuple[str, float]:
        error = post(address, path, *requests[number % len(requests)], timeout_s)
        return error, 1000 * (time.monotonic() - due)

    start, sent = time.monotonic(), []
    with ThreadPoolExecutor(MAX_CONNECTIONS) as pool:
        for number, moment in enumerate(arrival_times(rate, seconds)):
            time.sleep(max(0.0, start + moment - time.monotonic()))
            sent.append(pool.submit(send, number, start + moment))
    seconds = max(seconds, time.monotonic() - start)
    latencies = [latency for error, latency in (one.result() for one in sent) if not error]
    errors = Counter(error for error, _ in (one.result() for one in sent) if error)
    percentiles = {"p50_ms": percentile(latencies, 0.5), "p99_ms": percentile(latencies, 0.99)}
    return {"seconds": seconds, "answers": len(latencies), "errors": errors, **percentiles}


def post(address: str, path: str, content_type: str, body: bytes, label: str, timeout_s: float) -> str:
    """Send one request on a connection of its own; return what is wrong with the answer, "" if nothing is."""
    with closing(http.client.HTTPConnection(address, timeout=timeout_s)) as connection:
        try:
            connection.request("POST", path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            found = first_label(response.read()) or "no label"
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
    if response.status != HTTPStatus.OK:
        return str(response.status)
    return "" if found == label else f"found {found}, needed {label}"


def arrival_times(rate: float, seconds: float) -> list[float]:
    """Return the times, from 0 to `seconds`, of a Poisson process of `rate`/s, which models independent users."""
    rng, times, moment = random.Random(0), [], 0.0  # noqa: S311
    while (moment := moment + rng.expovariate(rate)) < seconds:
        times.append(moment)
    return times


def encode(encoding: str, image: bytes) -> tuple[str, bytes]:
    """Return the Content-Type and the body of a request.

    `encoding` is "raw", "multipart" or "json"; a field's name other than "image" follows after a colon.
    """
    kind, _, name = encoding.partition(":")
    if kind == "raw":
        return "image/jpeg", image
    if kind == "json":
        return "application/json", json.dumps({name: base64.b64encode(image).decode()}).encode()
    disposition = f'Content-Disposition: form-data; name="{name or "image"}"; filename="photo.jpg"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n"
    return f"multipart/form-data; boundary={BOUNDARY}", head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()


def first_label(body: bytes) -> str:
    """Return the first label in a server's JSON answer; "" if there is none."""
    try:
        answer: Any = json.loads(body)
        while not isinstance(answer, str):
            answer = answer[0 if isinstance(answer, list) else next(key for key in LABEL_KEYS if key in answer)]
        return answer
    except (ValueError, TypeError, IndexError, StopIteration):
        return ""


def percentile(values: list[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest of `values` that `share` of them do not exceed; 0 if empty."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)] if ordered else 0.0
