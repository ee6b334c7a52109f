"""What came of a row's requests, and how a service is disturbed under load until all of it is back."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.chaos.place import Place
from tests.cluster.load import Sent

SLOWEST = 0.99

Disturb = Callable[[Place, int], None]  # disturb the service, for the n-th time


@dataclass
class Outcome:
    """What became of a row's requests, and its other figures.

    `allowed` is the share that may fail; `fault` says what never came back.
    """

    sent: list[Sent] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    allowed: float = 0.0
    fault: str = ""

    @property
    def lost(self) -> Counter[str]:
        return Counter(one.outcome for one in self.sent if one.outcome != "200")

    @property
    def kept(self) -> bool:
        """Whether the promise was kept: no more failed than may, and no answer was wrong."""
        return not self.fault and self.lost.total() <= self.allowed * len(self.sent) and not self.lost["wrong"]

    def note(self, name: str, value: float) -> None:
        """Keep the largest value of a figure."""
        self.figures[name] = max(value, self.figures.get(name, 0.0))


def quantile(sent: Sequence[Sent], share: float) -> float:
    """Return the seconds in which `share` of the requests ended."""
    seconds = sorted(one.ended - one.left for one in sent)
    return seconds[min(len(seconds) - 1, math.ceil(share * len(seconds)) - 1)] if seconds else 0.0


@contextmanager
def observed(place: Place) -> Iterator[Outcome]:
    """Load the service until the block ends; the outcome has the requests then, and what failed in the block."""
    outcome = Outcome()
    with place.load() as load:
        try:
            yield outcome
        except Exception as error:  # what was sent until then is of use, too
            outcome.fault = f"{type(error).__name__}: {error}"
    outcome.sent = load.sent


def repeated(disturb: Disturb, place: Place, times: int) -> Outcome:
    """Disturb the service `times`, each time until all of it is back."""
    with observed(place) as outcome:
        for number in range(times):
            started = time.monotonic()
            disturb(place, number)
            place.back()
            outcome.note("back after, s", time.monotonic() - started)
    return outcome
