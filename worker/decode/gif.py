"""What stands before the first frame of a GIF, which Pillow reads block by block in Python."""

from collections.abc import Iterator
from itertools import islice

from worker.contract.errors import ErrorCode, ServiceError

# Pillow reads about 800,000 blocks a second on a core of its own; files in use have a few thousand.
MAX_BLOCKS = 100_000
HEADER_BYTES, FLAGS = 13, 10  # and the flags' place in the header
TABLE_FLAG, TABLE_SIZE = 0x80, 0b111
EXTENSION, FRAME, TRAILER = b"!,;"


def refuse_many_blocks(data: bytes) -> None:
    """Raise ServiceError IMAGE_TOO_COSTLY if more than MAX_BLOCKS stand before the first frame of the GIF `data`."""
    if next(islice(_blocks(data), MAX_BLOCKS, None), None) is not None:
        raise ServiceError(
            ErrorCode.IMAGE_TOO_COSTLY,
            f"found a GIF with more than {MAX_BLOCKS} blocks before its first frame, needed fewer: "
            "save it without comments and other metadata",
        )


def _blocks(data: bytes) -> Iterator[int]:
    """Yield the place of every block before the first frame: an extension, each of its parts (GIF89a, section 15).

    A byte that starts neither is a block, too: Pillow skips such bytes one by one.
    """
    flags = data[FLAGS] if len(data) > FLAGS else 0
    place = HEADER_BYTES + (3 << (flags & TABLE_SIZE) + 1 if flags & TABLE_FLAG else 0)
    in_extension = False
    while place < len(data) and (in_extension or data[place] not in (FRAME, TRAILER)):
        yield place
        if in_extension:
            in_extension = data[place] > 0
            place += 1 + data[place]
        elif data[place] == EXTENSION:
            in_extension = True
            place += 2
        else:
            place += 1
