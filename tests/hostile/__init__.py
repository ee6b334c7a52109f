"""Requests that try to break a server, by kind, each built from its format's specification.

A kind is a module here with a `CASES` tuple. Bodies are made when they are sent, for many are large.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

SERVED, BAD, UNKNOWN_TYPE, UNFIT, LATE = 200, 400, 415, 422, 504
NEVER = frozenset({UNFIT})  # no server may answer this image
# A valid image at a high price, or a tolerable fault: answered, refused, or given up at the deadline on a busy machine.
PERHAPS = frozenset({SERVED, UNFIT, LATE})
BLOCK = 1 << 20
WORKER_BYTES = 700_000_000  # that a worker of a small model may hold, its network included


@dataclass(frozen=True)
class Case:
    """One hostile request: how to make its body, and the statuses that it may be answered with.

    It is sent `at_once` times in parallel. `codes` are those that each image of a form of many may be refused with.
    """

    name: str
    body: Callable[[], bytes]
    statuses: frozenset[int] = NEVER
    path: str = "/predict"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/octet-stream"})
    at_once: int = 1


def deflated_zeros(count: int) -> bytes:
    """Return a zlib stream (RFC 1950) that unpacks to `count` zero bytes: about a thousandth, at once.

    A full flush ends on a byte boundary and forgets the window, so that one packed block can be repeated.
    """
    whole, rest = divmod(count, BLOCK)
    checksum = (count % 65521) << 16 | 1  # Adler-32 of zeros, RFC 1950, 8.2: A stays 1, B counts the bytes
    head = b"\x78\x01"
    return head + _block(BLOCK) * whole + _block(rest) + b"\x03\x00" + checksum.to_bytes(4, "big")


def _block(count: int) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(bytes(count)) + packer.flush(zlib.Z_FULL_FLUSH)
