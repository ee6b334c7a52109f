"""GIFs: whatever stands before the first frame costs little, or is refused."""

import io

import pytest
from PIL import Image

from tests.errors import error_of
from tests.hostile.gif import black, blocks, gif
from worker.contract.errors import ErrorCode
from worker.decode import Geometry, Pixels, decode
from worker.decode.gif import MAX_BLOCKS

AS_IT_IS = Geometry((4, 4), None, "bilinear")
DROP = Pixels(background=None)  # as Pillow leaves transparency out, which libvips cannot
CONTROL = b"!\xf9\x04\0\0\0\0\0"  # an extension of two blocks, its last one empty


def decoded(before: bytes) -> tuple[int, ...]:
    return decode(gif(4, 4, black(4, 4), before=before), AS_IT_IS, pixels=DROP).shape


@pytest.mark.parametrize(
    "before",
    [
        b"",
        CONTROL * 1_000,
        b"!\xfe" + blocks(bytes(4 << 20)),  # a comment
        b"!\xff\x0bICCRGBG1012" + blocks(bytes(1 << 20)),
        b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0",
        bytes(100),  # which readers skip
    ],
    ids=("nothing", "controls", "comment", "profile", "loop", "no block"),
)
def test_metadata_before_the_first_frame_is_read_over(before: bytes) -> None:
    assert decoded(before) == (4, 4, 3)


@pytest.mark.parametrize(
    "before",
    [
        CONTROL * MAX_BLOCKS,
        b"!\xf9\0" * MAX_BLOCKS,
        b"!\xfe" + b"\x01a" * MAX_BLOCKS + b"\0",
        (b"!\xfe" + b"\x01a" * 1_000 + b"\0") * 1_000,
        bytes(MAX_BLOCKS + 1),
    ],
    ids=("controls", "bare controls", "parts of a comment", "parts of comments", "no block"),
)
def test_more_blocks_than_are_read_in_time_are_refused(before: bytes) -> None:
    assert error_of(lambda: decoded(before)).code is ErrorCode.IMAGE_TOO_COSTLY


def test_frames_are_not_counted_as_blocks() -> None:
    file = io.BytesIO()
    frames = [Image.new("P", (4, 4), index % 4) for index in range(50)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], comment=b"x" * 1_000)
    for data in (file.getvalue(), gif(4, 4, *[black(4, 4)] * MAX_BLOCKS)):
        assert decode(data, AS_IT_IS, pixels=DROP).shape == (4, 4, 3)
