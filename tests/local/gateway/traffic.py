"""The workers behind these gateways, and what clients send them. Clients never try again."""

import threading

from tests.local.gateway_harness import Gateway, Reply
from tests.wait import until

POOLS = {"photos": ["photos-0", "photos-1"], "other": ["other-0"]}
IMAGE = b"\x89PNG not really"
HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\n"


def tries(gateway: Gateway) -> list[str]:
    """What the workers said to each request so far."""
    return [line["upstream_status"] for line in gateway.access_log() if line["uri"] == "/predict"]


class Stream:
    """Requests one after the other, until it ends; each on a connection of its own."""

    def __init__(self, gateway: Gateway) -> None:
        self.replies: list[Reply] = []
        self.faults: list[Exception] = []
        self.gateway = gateway
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self.over.is_set():
            try:
                self.replies.append(self.gateway.ask("POST", "/predict", IMAGE))
            except Exception as fault:
                self.faults.append(fault)
            self.over.wait(0.005)  # the cores are for the gateway

    def __enter__(self) -> "Stream":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def passes(self, requests: int = 20) -> None:
        reached = len(self.replies) + requests
        until(f"{requests} more requests", lambda: self.faults or len(self.replies) >= reached)

    def only(self, worker: str) -> None:
        """Waits until none but `worker` answers."""

        def last_twenty() -> bool:
            last = self.replies[-20:]
            return len(last) == 20 and {reply.json.get("worker") for reply in last} == {worker}

        until(f"only {worker} answers", last_twenty)
