"""EXIF orientation: how to turn a stored image upright."""

import struct
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from worker.decode import tiff
from worker.decode.geometry import Cut

SIGNATURE = b"Exif\0\0"  # EXIF 2.3, 4.5.4: a TIFF directory follows


@dataclass(frozen=True)
class Orientation:
    """The transform that turns a stored image upright: whether its sides are swapped, and which are mirrored."""

    transpose: Image.Transpose | None = None
    swapped: bool = False
    columns_mirrored: bool = False
    rows_mirrored: bool = False

    def upright(self, image: Image.Image) -> Image.Image:
        return image if self.transpose is None else image.transpose(self.transpose)

    def turned(self, values: np.ndarray) -> np.ndarray:
        """Return the stored `values` [H, W, bands] upright."""
        values = values[:: -1 if self.rows_mirrored else 1, :: -1 if self.columns_mirrored else 1]
        return values.swapaxes(0, 1) if self.swapped else values

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


def read_orientation(exif: bytes) -> int:
    """Return the orientation in EXIF data, which may follow the signature of a JPEG's segment; 1 if it has none."""
    directory = exif.removeprefix(SIGNATURE)
    if directory[:2] not in tiff.ORDERS:
        return 1
    try:
        return tiff.read_directory(directory).values.get(tiff.ORIENTATION, 1)
    except struct.error:  # broken metadata is no reason to refuse good pixels
        return 1
