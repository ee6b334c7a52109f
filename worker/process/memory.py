"""The process's memory: what serving frees is kept for the next image, what only loading needed is given back."""

import ctypes
import re
from pathlib import Path

# Parameters of glibc's mallopt(3), with the values of malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
MEGABYTE = 1 << 20
# 32 MB is the most that glibc takes for a block from its own heap: a decoded image of 10 million pixels.
KEPT = {M_MMAP_THRESHOLD: 32 * MEGABYTE, M_TRIM_THRESHOLD: 256 * MEGABYTE, M_TOP_PAD: 16 * MEGABYTE}


def tune_malloc(cpus: int) -> None:
    """Set KEPT, and one heap for each of so many CPUs, where the C library is glibc; elsewhere nothing is changed.

    Without it every image of some hundred kilobytes is mapped, cleared page by page on first touch, and unmapped
    again: a sixth of a small model's processor time per request. With a heap for each thread, the image that one
    decodes finds nothing in the processor's caches of those that the others did.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for parameter, value in (KEPT | {M_ARENA_MAX: cpus}).items():
            library.mallopt(parameter, value)


# A file mapped as it is on disk: "r--s" says that it can be neither changed nor holds changes.
MAPPED = re.compile(r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) r--s \S+ \S+ \S+ +(?P<file>/.*)$", re.MULTILINE)
MADV_DONTNEED = 4  # of madvise(2)


def release_memory(*folders: str | Path) -> None:
    """Return freed heap to the kernel, and the pages of files mapped from `folders`, which come again when read.

    OpenVINO keeps its weights mapped beside the layout it made of them, ONNX Runtime leaves as much heap behind: of
    ResNet-18 in f32 45 and 85 MB.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
    for found in MAPPED.finditer(Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")):
        if any(Path(found["file"]).is_relative_to(Path(folder).resolve()) for folder in folders):
            start, end = int(found["start"], 16), int(found["end"], 16)
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)
