"""EXIF orientation: how to turn a stored image upright."""

from dataclasses import dataclass, replace

from PIL import Image

from worker.decode.geometry import Cut


@dataclass(frozen=True)
class Orientation:
    """The transform that turns a stored image upright: whether its sides are swapped, and which are mirrored."""

    transpose: Image.Transpose | None = None
    swapped: bool = False
    columns_mirrored: bool = False
    rows_mirrored: bool = False

    def upright(self, image: Image.Image) -> Image.Image:
        return image if self.transpose is None else image.transpose(self.transpose)

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


UPRIGHT = Orientation()
ORIENTATIONS = {  # by the value of the orientation tag
    2: Orientation(Image.Transpose.FLIP_LEFT_RIGHT, columns_mirrored=True),
    3: Orientation(Image.Transpose.ROTATE_180, columns_mirrored=True, rows_mirrored=True),
    4: Orientation(Image.Transpose.FLIP_TOP_BOTTOM, rows_mirrored=True),
    5: Orientation(Image.Transpose.TRANSPOSE, swapped=True),
    6: Orientation(Image.Transpose.ROTATE_270, swapped=True, rows_mirrored=True),
    7: Orientation(Image.Transpose.TRANSVERSE, swapped=True, columns_mirrored=True, rows_mirrored=True),
    8: Orientation(Image.Transpose.ROTATE_90, swapped=True, columns_mirrored=True),
}
