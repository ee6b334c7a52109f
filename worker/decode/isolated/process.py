"""The program of a decoding process: it serves the requests that come through a socket, one after the other.

`python -m worker.decode.isolated.process DESCRIPTOR SECONDS`; each image may take SECONDS of the processor. It ends
when the worker has ended, or has needed it for no image for long.
"""

import gc
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import imagecodecs
import msgspec
import numpy as np

from worker.contract.errors import ServiceError
from worker.decode import heic, whole_tiff
from worker.decode.budget import no_deadline
from worker.decode.encoded_image import refuse_damaged
from worker.decode.file import require_served
from worker.decode.isolated.messages import (
    PACKET_BYTES,
    READY,
    REQUESTS,
    Answer,
    Header,
    OutOfMemory,
    Refusal,
    Request,
    Shape,
)
from worker.decode.isolated.readers import READERS

IDLE_S = 300
FIRST_VICTIM = "1000"  # of the kernel, when memory runs out: proc(5), /proc/PID/oom_score_adj
LIBRARIES = (heic, whole_tiff, imagecodecs.jpeg_decode, imagecodecs.jpegls_decode)  # all are in memory before a limit


def main(descriptor: int, seconds: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):  # the worker may still need it while it drains
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_VICTIM)
    base = _address_space()
    with socket.socket(fileno=descriptor) as channel, suppress(TimeoutError, ConnectionError):
        channel.settimeout(IDLE_S)
        channel.send(READY)
        while True:
            packet, files, _, _ = socket.recv_fds(channel, PACKET_BYTES, 1)
            if not packet:
                return
            request = REQUESTS.decode(packet)
            with limits(base + request.memory, seconds):
                answer = _answer(request, files[0])
            channel.send(msgspec.json.encode(answer))
            os.close(files[0])
            gc.collect()  # an error's frames may hold an image


def _answer(request: Request, file: int) -> Answer:
    try:
        with refuse_damaged(request.reader):
            return _read(request, file)
    except ServiceError as error:
        return Refusal(error.code, error.message)
    except MemoryError:
        return OutOfMemory()


def _read(request: Request, file: int) -> Header | Shape:
    data = os.pread(file, os.fstat(file).st_size, 0)
    os.ftruncate(file, 0)  # one copy is enough
    opened = READERS[request.reader](data)
    if not request.factor:
        require_served(opened, request.max_pixels)
        smallest = max(opened.width, opened.height)  # a factor that leaves one pixel
        held = opened.held_bytes(smallest, request.pixels)
        return Header(opened.width, opened.height, opened.orientation, held)
    values = opened.decode(request.factor, request.pixels, no_deadline)
    os.pwrite(file, np.ascontiguousarray(values).data, 0)
    return Shape(*values.shape)


@contextmanager
def limits(memory: int, seconds: int) -> Iterator[None]:
    """Let allocations fail beyond `memory` bytes of addresses, and end the process after `seconds` more of its time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = {resource.RLIMIT_AS: memory, resource.RLIMIT_CPU: math.ceil(used.ru_utime + used.ru_stime) + seconds}
    hard = {limit: resource.getrlimit(limit)[1] for limit in soft}
    for limit, value in soft.items():
        resource.setrlimit(limit, (value, hard[limit]))
    try:
        yield
    finally:
        for limit, value in hard.items():
            resource.setrlimit(limit, (value, value))


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
