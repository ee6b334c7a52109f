"""`decode` of model.toml: whether large images are shrunk while they are decoded, and what that changes in the answers.

Standard library only.
"""

from dataclasses import dataclass

from worker.contract.toml_reader import TomlReader

DECODES = SCALED, EXACT = "scaled", "exact"
SIZES = SMALL, LARGE = "small", "large"
AGREEMENT = 0.98  # least share of images answered as if they were decoded whole, as for int8


@dataclass(frozen=True)
class DecodingMeasurement:
    """How the answers to scaled images compare with those to the same images decoded whole.

    `size` is SMALL for calibration images as they are, LARGE for the same enlarged, and `images` is their number.
    `agreement` is the share with the same answer; `difference` is the largest difference of a score.
    """

    size: str
    images: int
    agreement: float
    difference: float

    @property
    def passed(self) -> bool:
        return self.agreement >= AGREEMENT


def read_decode(reader: TomlReader) -> str:
    """Return the value of `decode`, one of DECODES, or "" if there is none."""
    return reader.choice("decode", DECODES) if reader.has("decode") else ""


def read_measurement(reader: TomlReader) -> DecodingMeasurement:
    """Return a table [[engine.decoding]]; add its faults to `reader`."""
    return DecodingMeasurement(
        reader.choice("size", SIZES), reader.number("images", int), reader.number("agreement", float),
        reader.number("difference", float),
    )  # fmt: skip
