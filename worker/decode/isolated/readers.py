"""The readers of such files, by name: each needs the whole image at once, in a library that cannot be stopped."""

from collections.abc import Callable

from worker.decode import tiff
from worker.decode.deep_jpeg import DeepJpegFile
from worker.decode.file import File
from worker.decode.jpeg_header import read_header
from worker.decode.pillow_file import PillowFile
from worker.decode.stream import StreamedFile

HEIC, AVIF, DEEP_JPEG, WHOLE_TIFF, OLD_JPEG = "HEIC", "AVIF", "JPEG", "TIFF", "old-style JPEG TIFF"


def _heic(data: bytes) -> File:
    from worker.decode.heic import HeicFile  # the import takes a tenth of a second

    return HeicFile(data)


def _whole_tiff(data: bytes) -> File:
    from worker.decode.whole_tiff import WholeTiffFile  # so does this one

    return WholeTiffFile(data, tiff.read_directory(data))


READERS: dict[str, Callable[[bytes], File]] = {
    HEIC: _heic,
    AVIF: lambda data: StreamedFile(data, "AVIF"),
    DEEP_JPEG: lambda data: DeepJpegFile(data, read_header(data)),
    WHOLE_TIFF: _whole_tiff,
    OLD_JPEG: lambda data: PillowFile(data, "TIFF"),
}
