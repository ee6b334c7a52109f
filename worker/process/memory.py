"""The process's memory: malloc reuses what one request freed for the next, and what only loading needed is released."""

import ctypes
import os
import re
import resource
from pathlib import Path

# Parameters of glibc's mallopt(3), numbered as in malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
MEGABYTE = 1 << 20
USUAL_STACK_BYTES = 8 * MEGABYTE
# 32 MB is glibc's maximum for a block from its heap (DEFAULT_MMAP_THRESHOLD_MAX): a decoded image of 10 megapixels.
MALLOC_SETTINGS = {M_MMAP_THRESHOLD: 32 * MEGABYTE, M_TRIM_THRESHOLD: 256 * MEGABYTE, M_TOP_PAD: 16 * MEGABYTE}


def tune_malloc(cpus: int) -> None:
    """Apply MALLOC_SETTINGS and limit malloc to one arena for each of `cpus`; do nothing unless the library is glibc.

    Without it every image of some hundred kilobytes is mapped, cleared page by page on first touch, and unmapped:
    a sixth of a small model's processor time per request. With an arena for each thread, the default, an image
    reuses no memory that is still in the processor's caches from another thread's image.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for parameter, value in (MALLOC_SETTINGS | {M_ARENA_MAX: cpus}).items():
            library.mallopt(parameter, value)


def limit_memory(megabytes: int, threads: int) -> None:
    """Let allocations fail beyond `megabytes` (10^6 bytes), each thread's stack besides; do nothing if that is 0.

    The kernel counts private writable memory alone: engines map their networks and reserve address space beyond it.
    """
    if megabytes:
        stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
        limit = megabytes * 10**6 + threads * (USUAL_STACK_BYTES if stack == resource.RLIM_INFINITY else stack)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def resident_bytes() -> int:
    """Return the memory that this process holds; 0 if it cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # no file is left to open
        return 0
    return pages * resource.getpagesize()


def open_files() -> int:
    """Return how many files and connections this process has open; its limit if no other can be opened."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1  # but for that folder
    except OSError:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


# Only shared read-only mappings ("r--s") of files: their pages cannot hold changes, so they can be read again.
FILE_MAPPING = re.compile(r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) r--s \S+ \S+ \S+ +(?P<file>/.*)$", re.MULTILINE)
MADV_DONTNEED = 4  # of madvise(2)


def release_memory(*folders: str | Path) -> None:
    """Return freed heap to the kernel, and the pages of files mapped from `folders`; a later access reads them again.

    OpenVINO keeps the weights mapped after converting them to its own layout, and ONNX Runtime leaves freed heap:
    45 and 85 MB for ResNet-18 in f32.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="surrogateescape")
    for mapping in FILE_MAPPING.finditer(maps):
        if any(Path(mapping["file"]).is_relative_to(Path(folder).resolve()) for folder in folders):
            start, end = int(mapping["start"], 16), int(mapping["end"], 16)
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)
