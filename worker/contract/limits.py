"""Every limit a request can meet: its default, its bounds and its unit, named once.

`compose/cluster.toml` sets them in `[limits]`, the worker reads them as `WANWU_<NAME>`.
"""

from dataclasses import dataclass

MAX_BODY_BYTES = 32 * 1024 * 1024  # nginx.conf's client_max_body_size; a test compares the two
MAX_TILES = 64  # of one picture; each is an inference of its own
MAX_CANDIDATE_LABELS = 256  # of one request; each goes through the text tower once for every template
MAX_LABEL_CHARACTERS = 200  # of a candidate label, and of its template: more than any text tower reads


@dataclass(frozen=True)
class Limit:
    """A whole number from `minimum` to `maximum`, counted in `unit`."""

    default: int
    minimum: int
    maximum: int
    unit: str

    def fault(self, value: object) -> str | None:
        """What is wrong with `value`, or None: a sentence's end, to follow the name of the setting."""
        if isinstance(value, bool) or not isinstance(value, int):
            return f"must be a whole number of {self.unit}, found {value!r}"
        if not self.minimum <= value <= self.maximum:
            return f"must be {self.minimum} to {self.maximum} {self.unit}, found {value}"
        return None


LIMITS = {
    "queue": Limit(64, 1, 512, "images"),
    "max_images": Limit(32, 1, 512, "images"),
    "max_pixels": Limit(64_000_000, 1_000, 1_000_000_000, "pixels"),
    # Below nginx.conf's proxy_read_timeout, or Nginx would give up before the worker says 504.
    "deadline_s": Limit(15, 1, 20, "seconds"),
    "inference_limit_s": Limit(30, 1, 600, "seconds"),
    "drain_s": Limit(3, 0, 60, "seconds"),
}
