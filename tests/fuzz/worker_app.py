"""A worker's whole application in this process, and the contract that its answers keep whatever they answer."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from worker.app import create_app
from worker.contract.error_codes import ErrorCode
from worker.contract.settings import Settings, offline_variables

MODEL = "bright"
ERROR_BYTES = 2_000  # an error quotes a little of the request, however long that is
STATUSES = {code.value: code.status for code in ErrorCode}
FAILURES = {ErrorCode.INTERNAL.value}
READY_S = 60
Post = Callable[[str, bytes, dict[str, str]], None]


def opened(folder: Path) -> Post:
    """Return a function that posts (path, body, headers) to a worker of the model in `folder`.

    It raises AssertionError if the answer is not one that the contract knows.
    """
    os.environ |= offline_variables()
    variables = {
        "MODEL_DIR": folder / MODEL, "MODEL": MODEL, "WORKER": f"{MODEL}-0", "SLOT": "this-cpu0",
        "CPUS": min(os.sched_getaffinity(0)), "BIND": "127.0.0.1:0",
    }  # fmt: skip
    settings = {f"WANWU_{name}": str(value) for name, value in variables.items()}
    app = create_app(Settings.from_env(offline_variables() | settings))
    service, until = app.extensions["service"], time.monotonic() + READY_S
    while not service.health.ready:
        assert time.monotonic() < until, service.health.reason
        threading.Event().wait(0.02)
    client = app.test_client()

    def post(path: str, body: bytes, headers: dict[str, str]) -> None:
        reply = client.post(path, data=body, headers=headers)
        check(reply.status_code, reply.get_data())

    return post


def check(status: int, body: bytes) -> None:
    """Raise AssertionError unless this is an answer, or a short error with a code of this status."""
    answer = json.loads(body)
    for found in [answer, *answer.get("results", ())] if isinstance(answer, dict) else []:
        if "error" in found:
            error = found if isinstance(found["error"], str) else found["error"]
            assert error["code"] not in FAILURES, error
            assert found is not answer or STATUSES[error["code"]] == status, (status, error)
    assert status == 200 or "error" in answer, (status, body[:200])
    assert status == 200 or len(body) <= ERROR_BYTES, f"an error of {len(body)} bytes: {body[:200]!r}"
