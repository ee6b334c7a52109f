"""A steady stream of requests without retries, and a count of their outcomes."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

CLIENTS = 3
PAUSE_S = 0.15  # of a client between two requests: some 20 a second leave the cores to what happens under load


class Load:
    """How often each outcome was seen: a status, or the name of an exception."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.workers: Counter[str] = Counter()

    @property
    def answered(self) -> int:
        return self.outcomes["200"]


@contextmanager
def steady_load(endpoint: str, image: Path, clients: int = CLIENTS) -> Iterator[Load]:
    """Post `image` from `clients` threads, each sending one request soon after the other, until the block ends."""
    load, stop, body = Load(), threading.Event(), image.read_bytes()

    def client() -> None:
        while not stop.wait(PAUSE_S):
            try:
                # A new connection each time: when Nginx reloads, it may close an idle one just as a request is sent.
                answer = requests.post(
                    f"{endpoint}/predict", data=body, headers={"Content-Type": "image/png"}, timeout=60
                )
                load.outcomes[str(answer.status_code)] += 1
                if answer.ok:
                    load.workers[answer.json()["worker"]] += 1
            except requests.RequestException as error:
                load.outcomes[type(error).__name__] += 1

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stop.set()
        for thread in threads:
            thread.join()
