"""EXIF orientation: how to turn a stored image upright."""

from dataclasses import dataclass, replace

from PIL import Image

from worker.decode.geometry import Cut

ORIENTATION_TAG = 0x0112  # EXIF 2.3, tag 274


@dataclass(frozen=True)
class Turn:
    """The transform that turns a stored image upright: whether its sides are swapped, and which are mirrored."""

    way: Image.Transpose | None = None
    swapped: bool = False
    columns_mirrored: bool = False
    rows_mirrored: bool = False

    def upright(self, image: Image.Image) -> Image.Image:
        return image if self.way is None else image.transpose(self.way)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return the upright (width, height) of an image stored as `width` x `height`, or the reverse."""
        return (height, width) if self.swapped else (width, height)

    def stored(self, cut: Cut) -> Cut:
        """Return `cut`, which refers to the upright image, for the stored one."""
        columns, rows = (cut.rows, cut.columns) if self.swapped else (cut.columns, cut.rows)
        return replace(
            cut,
            columns=columns.mirrored() if self.columns_mirrored else columns,
            rows=rows.mirrored() if self.rows_mirrored else rows,
            rows_first=cut.rows_first != self.swapped,
        )


UPRIGHT = Turn()
TURNS = {  # by the value of the orientation tag
    2: Turn(Image.Transpose.FLIP_LEFT_RIGHT, columns_mirrored=True),
    3: Turn(Image.Transpose.ROTATE_180, columns_mirrored=True, rows_mirrored=True),
    4: Turn(Image.Transpose.FLIP_TOP_BOTTOM, rows_mirrored=True),
    5: Turn(Image.Transpose.TRANSPOSE, swapped=True),
    6: Turn(Image.Transpose.ROTATE_270, swapped=True, rows_mirrored=True),
    7: Turn(Image.Transpose.TRANSVERSE, swapped=True, columns_mirrored=True, rows_mirrored=True),
    8: Turn(Image.Transpose.ROTATE_90, swapped=True, columns_mirrored=True),
}


def turn_of(image: Image.Image) -> Turn:
    """Return the turn that the image's metadata asks for; UPRIGHT if they are damaged."""
    # Not ImageOps.exif_transpose: it also rewrites the metadata, which fails if any tag is broken.
    try:
        return TURNS.get(image.getexif().get(ORIENTATION_TAG, 1), UPRIGHT)
    except Exception:  # broken metadata is no reason to refuse good pixels
        return UPRIGHT
