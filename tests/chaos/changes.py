"""Disturbances that an operator makes: the service changes while it answers."""

from tests.chaos.place import OTHER, POOL, Place
from tests.commands.services import make_here

QUEUE = 61  # a place in cluster.toml's [limits] that is there or not


def rollout(place: Place, turn: int) -> None:
    """Replace all workers, one at a time."""
    _make(place, "rollout")


def swap(place: Place, turn: int) -> None:
    """Serve the other one of the two models."""
    other = {POOL, OTHER} - {place.model}
    _make(place, "use", f"NAME={other.pop()}", f"MODELS={place.models}")


def change(place: Place, turn: int) -> None:
    """Run `make up` after a limit was changed, or changed back."""
    file, line = place.service.cluster, f"queue = {QUEUE}\n"
    text = file.read_text()
    file.write_text(text.replace(line, "") if line in text else text.replace("[limits]\n", f"[limits]\n{line}"))
    _make(place, "up")


def _make(place: Place, *arguments: str) -> None:
    result = make_here(place.service, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
