"""Keep the memory of freed pictures for the next ones, instead of returning it to the kernel each time."""

import ctypes

# Parameters of glibc's mallopt(3), with the values of malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MEGABYTE = 1 << 20
# 32 MB is the most that glibc takes for a block from its own heap: a decoded picture of 10 million pixels.
KEPT = {M_MMAP_THRESHOLD: 32 * MEGABYTE, M_TRIM_THRESHOLD: 256 * MEGABYTE, M_TOP_PAD: 16 * MEGABYTE}


def keep_freed() -> None:
    """Set KEPT where the C library is glibc; elsewhere nothing is changed.

    Without it every picture of some hundred kilobytes is mapped, cleared page by page on first touch, and unmapped
    again: a sixth of a small model's processor time per request.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for parameter, value in KEPT.items() if mallopt else ():
        mallopt(parameter, value)
