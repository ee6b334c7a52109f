"""What came of a row's requests, and how a service is disturbed under load until all of it is back."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.chaos.place import Place
from tests.cluster.load import Sent
from tests.wait import until

SLOWEST = 0.99

Disturb = Callable[[Place, int], None]  # disturb the service, for the n-th time


@dataclass(frozen=True)
class Turn:
    """One disturbance: when it began, and when all was back (seconds, monotonic)."""

    disturbance: str
    began: float
    back: float


@dataclass(frozen=True)
class Bound:
    """What a figure may be."""

    least: float = -math.inf
    most: float = math.inf

    def fault(self, found: float) -> str:
        """Return what was needed instead of `found`; "" if that is within the bound."""
        if not found <= self.most:  # as NaN is not either, which is no figure
            return f"needed at most {self.most:.3g}"
        return "" if found >= self.least else f"needed at least {self.least:.3g}"


@dataclass
class Outcome:
    """What became of a row's requests, its disturbances, and its other figures.

    `allowed` is the share that may fail; `fault` says what never came back. `bounds` are those of the figures by name;
    `paced` are those that depend on the machine's pace, too: `make chaos` alone judges them, the tests do not.
    """

    sent: list[Sent] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, Bound] = field(default_factory=dict)
    paced: dict[str, Bound] = field(default_factory=dict)
    allowed: float = 0.0
    fault: str = ""

    @property
    def lost(self) -> Counter[str]:
        return Counter(one.outcome for one in self.sent if one.outcome != "200")

    @property
    def kept(self) -> bool:
        """Whether the promise was kept: no more failed than may, no answer was wrong, no figure is out of bounds."""
        answered = self.lost.total() <= self.allowed * len(self.sent) and not self.lost["wrong"]
        return not self.fault and answered and not self.beyond(self.bounds)

    @property
    def kept_in_time(self) -> bool:
        """Whether it was kept at the pace that a quiet machine has."""
        return self.kept and not self.beyond(self.paced)

    def beyond(self, bounds: Mapping[str, Bound]) -> dict[str, str]:
        """Return figure -> what was needed, for each that is out of `bounds`, as one is that is missing."""
        faults = {name: bound.fault(self.figures.get(name, math.nan)) for name, bound in bounds.items()}
        return {name: fault for name, fault in faults.items() if fault}


def quantile(sent: Sequence[Sent], share: float) -> float:
    """Return the seconds in which `share` of the requests ended."""
    seconds = sorted(one.ended - one.left for one in sent)
    return seconds[min(len(seconds) - 1, math.ceil(share * len(seconds)) - 1)] if seconds else 0.0


@contextmanager
def observed(place: Place) -> Iterator[Outcome]:
    """Load the service until the block ends; the outcome has the requests so far, and what failed in the block."""
    with place.load() as load:
        outcome = Outcome(load.sent)
        try:
            yield outcome
        except Exception as error:  # what was sent until then is of use, too
            outcome.fault = f"{type(error).__name__}: {error}"


def disturbed(place: Place, disturbances: Iterable[tuple[str, Disturb]]) -> Outcome:
    """Disturb the service in one way after the other, each time until all of it is back."""
    with observed(place) as outcome:
        for number, (name, disturb) in enumerate(disturbances):
            began = time.monotonic()
            disturb(place, number)
            place.back()
            _await_answers(place, outcome)
            outcome.turns.append(Turn(name, began, time.monotonic()))
    outcome.figures["back after, s"] = max((turn.back - turn.began for turn in outcome.turns), default=0.0)
    return outcome


def _await_answers(place: Place, outcome: Outcome) -> None:
    """Wait until every worker answers: Nginx sends nothing to one for 5 s after its third failure in a row."""
    before, workers = len(outcome.sent), set(place.workers)
    until("all workers answer", lambda: {one.worker for one in outcome.sent[before:]} >= workers)
