"""Every limit on requests, declared once with its default, bounds and unit.

`[limits]` of compose/cluster.toml sets the fields of Limits, and the worker reads them as `WANWU_<NAME>`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

MEBIBYTE = 1024 * 1024
FREE_BODY_BYTES = MEBIBYTE  # a body up to this size is read at once; larger ones share a budget: bodies_bytes
LARGE_BODIES = 2  # of the greatest size that a worker holds at once; the others wait to be read
MAX_TILES = 64  # per image; each tile is one inference
MAX_CANDIDATE_LABELS = 256  # per request; the text tower reads each one once per template
MAX_LABEL_CHARACTERS = 200  # per candidate label and per template: more than any text tower reads

# What is counted before a body is parsed.
MAX_JSON_VALUES = 10_000  # commas in one JSON text, which separate its values
MAX_JSON_CONTAINERS = 1_000  # lists and objects in one JSON text; it cannot be deeper than it has
MAX_FORM_PARTS = 1_000
MAX_GZIP_MEMBERS = 1_000  # of one body; bgzip makes one of every 64 KiB
MAX_BOUNDARY_CHARACTERS = 70  # between the parts of a form: RFC 2046, section 5.1.1
MAX_PART_HEADER_BYTES = 4_096  # per part of a form: a file name of 255 bytes, each written as %XX, twice
MAX_FORM_HEADER_BYTES = 256 * 1024  # of all parts of a form; werkzeug reads a kilobyte of options in 0.6 ms
MAX_FIELD_BYTES = 256 * 1024  # per parameter in a form: MAX_CANDIDATE_LABELS of MAX_LABEL_CHARACTERS, 4 bytes each
MAX_IDENTIFIER_CHARACTERS = 200  # of an inference request, which the answer repeats

# What is counted before an answer is made; one of the most values takes about 25 MB.
MAX_SCORES = 1_000_000  # per answer: images x classes
MAX_PREDICTIONS = 100_000  # per answer: images x classes that are shown with their labels

MAX_DECODING_S = 10  # of one image; the costliest that is served takes about half
MAX_DECODING_PROCESSES = 4  # of one worker
DECODING_PROCESS_MB = 48  # that an idle one holds, beside the libraries that it shares with its worker

MAX_QUOTED_CHARACTERS = 200  # of what a client sent, in an error's message
MAX_MESSAGE_CHARACTERS = 1_000


class Share(Enum):
    """The kinds of requests, and the part of the queue's places that each kind may hold at most, as a divisor.

    What the other kinds cannot hold is always free for ordinary requests: 24 of 64 places.
    """

    ORDINARY = ("requests of one image", 1)
    MANY_IMAGES = ("requests of several images", 4)
    HEAT_MAPS = ("heat maps", 4)
    LABELS = ("new candidate labels", 8)

    def __new__(cls, value: str, divisor: int) -> "Share":
        member = object.__new__(cls)
        member._value_, member._divisor = value, divisor
        return member

    _divisor: int

    def places(self, queue: int) -> int:
        """Return how many of the `queue` places this kind may hold: at least one, or it would never be served."""
        return max(1, queue // self._divisor)


@dataclass(frozen=True)
class Limit:
    """A whole number from `minimum` to `maximum`, counted in `unit`."""

    default: int
    minimum: int
    maximum: int
    unit: str

    @property
    def needed(self) -> str:
        """The requirement for a value, as the end of "needed ..."."""
        return f"a whole number from {self.minimum} to {self.maximum} ({self.unit})"

    def allows(self, value: object) -> bool:
        """Return whether `value` is a whole number within the bounds."""
        return type(value) is int and self.minimum <= value <= self.maximum


def _limit(default: int, minimum: int, maximum: int, unit: str) -> dict[str, Limit]:
    """Return the metadata of a field of Limits."""
    return {"limit": Limit(default, minimum, maximum, unit)}


@dataclass(frozen=True)
class Limits:
    """The limits of a worker, which its Settings begin with."""

    queue: int = field(metadata=_limit(64, 1, 512, "images"))
    max_images: int = field(metadata=_limit(32, 1, 512, "images"))
    # Of a request. The gate tells Nginx, and the workers' memory limit includes it.
    max_body_mb: int = field(metadata=_limit(32, 1, 1024, "MiB"))
    max_pixels: int = field(metadata=_limit(64_000_000, 1_000, 1_000_000_000, "pixels"))
    # Of memory, for all images that are being decoded at once. The workers' memory limit includes it.
    decode_mb: int = field(metadata=_limit(320, 64, 65_536, "megabytes"))
    # Below nginx.conf's proxy_read_timeout, or Nginx would time out before the worker answers 504.
    deadline_s: int = field(metadata=_limit(15, 1, 20, "seconds"))
    # So much below deadline_s that what waits for an inference that hangs is in time for another worker.
    inference_limit_s: int = field(metadata=_limit(5, 1, 600, "seconds"))
    golden_check_s: int = field(metadata=_limit(300, 0, 86_400, "seconds"))
    drain_s: int = field(metadata=_limit(3, 0, 60, "seconds"))


LIMITS: dict[str, Limit] = {declared.name: declared.metadata["limit"] for declared in fields(Limits)}


def bodies_bytes(max_body_mb: int) -> int:
    """Return how many bytes the bodies larger than FREE_BODY_BYTES may hold in a worker."""
    return LARGE_BODIES * max_body_mb * MEBIBYTE


def decoding_processes(cpus: int) -> int:
    """Return how many processes a worker of `cpus` CPUs may start to decode what it does not decode itself."""
    return min(cpus, MAX_DECODING_PROCESSES)


def decoding_limit_s(inference_limit_s: int) -> int:
    """Return the seconds that a decoding may take: of a processor in another process, without progress in this one.

    They are more than those of an inference: its own request alone waits for it, and Nginx waits longer for that.
    """
    return min(MAX_DECODING_S, 2 * inference_limit_s)


def queue_fault(values: Mapping[str, Any]) -> str | None:
    """Return the fault if max_images exceeds queue; None if it fits or either is missing in `values`."""
    images, queue = values.get("max_images", 0), values.get("queue", float("inf"))
    if images <= queue:
        return None
    return f"found {images}, needed at most {queue}, the queue: lower max_images or raise queue"
