"""Every limit that a request can meet: its default, its bounds and its unit, declared once.

`compose/cluster.toml` sets those of LIMITS in `[limits]`, the worker reads them as `WANWU_<NAME>`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_BODY_BYTES = 32 * 1024 * 1024  # nginx.conf's client_max_body_size; a test compares the two
MAX_TILES = 64  # of one image; each is an inference of its own
MAX_CANDIDATE_LABELS = 256  # of one request; each goes through the text tower once for every template
MAX_LABEL_CHARACTERS = 200  # of a candidate label, and of its template: more than any text tower reads


@dataclass(frozen=True)
class Limit:
    """A whole number from `minimum` to `maximum`, counted in `unit`."""

    default: int
    minimum: int
    maximum: int
    unit: str

    @property
    def needed(self) -> str:
        """What a value must be, as the end of "needed ..."."""
        return f"a whole number from {self.minimum} to {self.maximum} ({self.unit})"

    def allows(self, value: object) -> bool:
        """Return whether `value` is a whole number within the bounds."""
        return type(value) is int and self.minimum <= value <= self.maximum


LIMITS = {
    "queue": Limit(64, 1, 512, "images"),
    "max_images": Limit(32, 1, 512, "images"),
    "max_pixels": Limit(64_000_000, 1_000, 1_000_000_000, "pixels"),
    # Below nginx.conf's proxy_read_timeout, or Nginx would give up before the worker says 504.
    "deadline_s": Limit(15, 1, 20, "seconds"),
    "inference_limit_s": Limit(30, 1, 600, "seconds"),
    "drain_s": Limit(3, 0, 60, "seconds"),
}


def queue_fault(values: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a full request that is larger than the queue, None where it fits or one is missing."""
    images, queue = values.get("max_images", 0), values.get("queue", float("inf"))
    if images <= queue:
        return None
    return f"found {images}, needed at most {queue}, the queue: lower max_images or raise queue"
