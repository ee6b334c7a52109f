"""What the decoding of one image may cost."""

from collections.abc import Callable
from dataclasses import dataclass, field

from worker.contract.limits import LIMITS
from worker.decode.budget import MEGABYTE, Budget, no_deadline
from worker.decode.isolated.pool import Pool


@dataclass(frozen=True)
class Bounds:
    """The bounds of one decode: pixels of the image, the budget that it shares, and the seconds left.

    `processes` decode what cannot be stopped or might crash; None means that this process does.
    """

    max_pixels: int = LIMITS["max_pixels"].default
    budget: Budget = field(default_factory=lambda: Budget(LIMITS["decode_mb"].default * MEGABYTE))
    left: Callable[[], float] = no_deadline
    processes: Pool | None = None
