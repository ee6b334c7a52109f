"""Rows that change the service as an operator does, while it answers."""

from tests.chaos.outcome import Outcome, repeated
from tests.chaos.place import OTHER, POOL, Place


def rollout(place: Place, times: int) -> Outcome:
    """Replace all workers, one at a time."""
    return repeated(place, times, lambda place, _: _make(place, "rollout"))


def swap(place: Place, times: int) -> Outcome:
    """Serve another model folder, and the first one again."""

    def disturb(place: Place, _: int) -> None:
        _make(place, "use", f"NAME={OTHER}", f"MODELS={place.models}")
        _make(place, "use", f"NAME={POOL}", f"MODELS={place.models}")

    return repeated(place, times, disturb)


def change(place: Place, times: int) -> Outcome:
    """Run `make up` after a limit was changed, and after it was changed back."""
    file = place.service.cluster

    def disturb(place: Place, turn: int) -> None:
        text = file.read_text()
        file.write_text(text.replace("[limits]\n", f"[limits]\nqueue = {60 + turn}\n"))
        _make(place, "up")
        file.write_text(text)
        _make(place, "up")

    return repeated(place, times, disturb)


def _make(place: Place, *arguments: str) -> None:
    result = place.service.make(*arguments)
    assert result.returncode == 0, result.stdout + result.stderr
