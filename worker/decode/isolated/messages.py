"""What a worker and its decoding process say to each other: packets of JSON, each request with a memory file.

The file holds the image's bytes at first, and the pixels, uint8 [H, W, bands], at the end.
"""

import msgspec

from worker.contract.errors import ErrorCode
from worker.decode.pixels import Pixels

PACKET_BYTES = 1 << 16
READY = b"ready"  # the first packet, from the process


class Request(msgspec.Struct, frozen=True):
    """Read the header of an image by one of READERS or, with a `factor`, its pixels, shrunk by it.

    `memory` is what that may take in bytes, beside what the process takes at rest.
    """

    reader: str
    pixels: Pixels
    max_pixels: int
    memory: int
    factor: int = 0


class Header(msgspec.Struct, frozen=True, tag=True):
    """What a header says; `held` are the bytes that decoding holds, besides its result."""

    width: int
    height: int
    orientation: int
    held: int


class Shape(msgspec.Struct, frozen=True, tag=True):
    """The shape of the pixels in the memory file."""

    height: int
    width: int
    bands: int


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """The code and message of a ServiceError."""

    code: ErrorCode
    message: str


class OutOfMemory(msgspec.Struct, frozen=True, tag=True):
    """Decoding needs more memory than the request allows."""


Answer = Header | Shape | Refusal | OutOfMemory
ANSWERS: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
REQUESTS = msgspec.json.Decoder(Request)
