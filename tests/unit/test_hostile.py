"""The makers of hostile files keep to their formats, small ones of the same makers are whole; who left is counted."""

import io
import json
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests.hostile import deflated_zeros, gif, jpeg, png, tiff, webp
from tests.local.hostile_harness import Target

WHOLE = {
    "TIFF": tiff.packed(61, 47),
    "tiled TIFF": tiff.tiled(40, 72, 16),
    "TIFF of overlapping strips": tiff.overlapping_strips(9, 64),
    "TIFF of pages": tiff.pages(7),
    "PNG of RGBA": png.png(61, 47, png.RGBA),
    "interlaced PNG": png.png(61, 47, png.RGBA, interlaced=True),
    "interlaced PNG of a bit": png.png(3, 2, png.GREY, 1, True),
    "palette PNG": png.palette(50),
    "PNG with a profile": png.profile(1_000),
    "PNG of empty chunks": png.many_data_chunks(4),
    "WebP": webp.riff(webp.lossless(61, 47)),
    "animated WebP": webp.animation(61, 47, [webp.frame(61, 47), webp.frame(1, 1)]),
    "WebP with a profile": webp.with_chunk(b"ICCP", 11, webp.ICC),
    "GIF": gif.gif(300, 200, gif.black(300, 200)),
    "large GIF": gif.gif(4_100, 4_100, gif.black(4_100, 4_100)),
    "GIF of frames": gif.gif(1, 1, *[gif.PIXEL] * 3),
    "JPEG": jpeg.grey(61, 47),
    "CMYK JPEG": jpeg.grey(61, 47, components=4),
    "JPEG of scans": jpeg.many_scans(2_000, 3),
    "JPEG of segments": jpeg.with_segments(jpeg.segment(0xE1, b"") * 3),
    "JPEG with Exif": jpeg.exif(jpeg.deep_exif(3)),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_small_file_is_a_whole_image_of_one_colour(name: str) -> None:
    with Image.open(io.BytesIO(WHOLE[name])) as image:
        image.load()
        assert len(image.getcolors() or ()) == 1


@pytest.mark.parametrize("count", [0, 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 7])
def test_deflated_zeros_unpack_to_as_many(count: int) -> None:
    assert zlib.decompress(deflated_zeros(count)) == bytes(count)


def test_whoever_is_out_of_rotation_in_any_way_has_left(tmp_path: Path) -> None:
    log, earlier = tmp_path / "gate.log", '{"event": "worker", "worker": "before", "to": "out, broken"}\n'
    to = {"a": "ejected, ready", "b": "out, draining", "c": "in, ready", "d": "untested, starting"}
    lines = [json.dumps({"event": "worker", "worker": worker, "to": state}) for worker, state in to.items()]
    log.write_text("\n".join([f"{earlier}no JSON", '{"event": "reload"}', *lines, '{"event": "wor']))
    target = Target(0, dict, log, ("/predict", b"", {}), deadline_s=1, memory_bytes=1)
    assert target.left(len(earlier)) == ["a", "b"]
