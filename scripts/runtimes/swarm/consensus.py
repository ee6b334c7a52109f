"""Docker commands that a swarm's managers decide on, repeated while the managers cannot decide."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.host import docker

Answer = TypeVar("Answer")

TIMEOUT_S = 120.0  # an election takes seconds, among busy managers more; without a majority there is none
INTERVAL_S = 2.0  # also of those who wait for a state: each look starts up to half a dozen docker commands

# What managers answer between two leaders, and to a change of what another change has reached in between.
NOT_DONE = ("does not have a leader", "update out of sequence")
# What they answer if they do not agree in time, or if their leader is lost meanwhile: the change may be made.
PERHAPS_DONE = ("code = DeadlineExceeded", "context deadline exceeded", "code = Unavailable", "lost leader status")


def run(arguments: Sequence[str], environ: Mapping[str, str] | None = None, *, repeatable: bool = True) -> str:
    """Return the standard output of `docker ARGUMENTS`; raise CommandError if it fails.

    A command that is not `repeatable`, since it does something else the second time, is repeated only if it cannot
    have been carried out.
    """
    signs = (*NOT_DONE, *PERHAPS_DONE) if repeatable else NOT_DONE
    return _decided(lambda: docker.run(arguments, environ), signs)


def inspect(kind: str, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what `docker inspect` says of each node, service or task in `names` that still exists."""
    return _decided(lambda: docker.inspect(kind, names), (*NOT_DONE, *PERHAPS_DONE))


def _decided(ask: Callable[[], Answer], signs: Sequence[str]) -> Answer:
    """Return what `ask` returns, called until it raises no CommandError with one of `signs`, for TIMEOUT_S at most."""
    deadline, announced = time.monotonic() + TIMEOUT_S, False
    while True:
        try:
            return ask()
        except CommandError as error:
            if not any(sign in line for sign in signs for line in error.lines) or time.monotonic() >= deadline:
                raise
            if not announced:
                step(f"asking the swarm's managers again, for {TIMEOUT_S:g} seconds: {error.lines[-1]}")
                announced = True
        time.sleep(INTERVAL_S)
