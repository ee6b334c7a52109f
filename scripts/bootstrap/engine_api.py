"""The Docker engine, asked by its socket: its command starts every plugin to say what the engine is."""

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any

SOCKET = "/var/run/docker.sock"


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


def swarm() -> dict[str, Any]:
    """Return what the engine says of its swarm, such as its LocalNodeState; {} if none answers."""
    status, text = _asked("GET", "/info")
    return json.loads(text).get("Swarm", {}) if status == http.client.OK else {}


def post(path: str, body: Mapping[str, object]) -> str:
    """Return the engine's fault in one line; "" if it did what was asked."""
    status, text = _asked("POST", path, json.dumps(body))
    if status == http.client.OK:
        return ""
    try:
        return " ".join(str(json.loads(text)["message"]).split())
    except (ValueError, LookupError, TypeError):
        return " ".join(text.split()) or f"status {status}"


def _asked(method: str, path: str, body: str | None = None) -> tuple[int, str]:
    """Return the status and the text of the engine's answer; 0 and the reason if there is none."""
    engine = _Connection("localhost")
    try:
        engine.request(method, path, body, {"Content-Type": "application/json"})
        answer = engine.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)
    finally:
        engine.close()
