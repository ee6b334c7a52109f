"""One decoding process, seen from the worker: started, asked, and ended when it takes too long."""

import logging
import math
import os
import signal
import socket
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path

import msgspec
import numpy as np

from worker.contract.errors import ErrorCode, ServiceError
from worker.decode.isolated.messages import ANSWERS, PACKET_BYTES, Header, OutOfMemory, Refusal, Request, Shape
from worker.decode.vips import Left

PROGRAM = "worker.decode.isolated.process"
ROOT = Path(__file__).resolve().parents[3]
# One thread and one heap, which returns what an image took: while it is idle, a process holds little.
VARIABLES = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}
LOOK_S = 0.1  # between two looks at the deadline and the client
EXIT_S = 5.0  # for the kernel to end a process that has closed its socket
CPUCLOCK_SCHED = 2  # the kernel's name: a process's clock, in the lowest bits of its number
OTHER_FORM = "save it as a baseline JPEG or a PNG"

log = logging.getLogger(__name__)


class Child:
    """A process that reads one image at a time. Each may take `seconds` of the processor, and no longer without any.

    Raise ImportError if it cannot start, MemoryError if the kernel has no room for it, and what `left` raises.
    """

    def __init__(self, seconds: float, left: Left) -> None:
        self._seconds = seconds
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(LOOK_S)
        command = [sys.executable, "-m", PROGRAM, str(theirs.fileno()), str(math.ceil(seconds))]
        with theirs:
            try:
                # Not by a fork that goes on in Python: other threads may hold its locks.
                self._process = subprocess.Popen(
                    command, cwd=ROOT, env=os.environ | VARIABLES, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                )
            except OSError as error:
                self._channel.close()
                raise MemoryError(f"no decoding process: {error}") from error
        try:
            if not self._receive(left):
                raise ImportError("the decoding process could not start: it has written why to this log")
        except BaseException:
            self.end()
            raise

    def read(self, request: Request, data: bytes, left: Left) -> Header | np.ndarray | Refusal | OutOfMemory | None:
        """Return the answer to `request`; None if the process has ended before it, as it does when idle.

        Raise ServiceError IMAGE_TOO_COSTLY, UNDECODABLE, or what `left` raises, after ending it.
        """
        try:
            with FileIO(os.memfd_create("image"), "w+") as file:
                file.write(data)
                if not self._sent(request, file):
                    return None
                packet = self._awaited(request.reader, left)
                if not packet:
                    self._refuse_ended(request.reader)
                    return None
                answer = ANSWERS.decode(packet)
                return _pixels(answer, file) if isinstance(answer, Shape) else answer
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End the process, whatever it does."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _sent(self, request: Request, file: FileIO) -> bool:
        try:
            socket.send_fds(self._channel, [msgspec.json.encode(request)], [file.fileno()])
        except ConnectionError:
            self.end()
            return False
        return True

    def _awaited(self, reader: str, left: Left) -> bytes:
        try:
            return self._receive(left)
        except TimeoutError as error:
            raise _overran(reader, self._seconds) from error

    def _receive(self, left: Left) -> bytes:
        """Return the next packet, b"" if the process has ended; raise TimeoutError if it hangs."""
        used, since = -1.0, 0.0
        while True:
            left()
            if used != (now := self._used_s()):
                used, since = now, time.monotonic()
            elif time.monotonic() > since + self._seconds:
                raise TimeoutError
            try:
                return self._channel.recv(PACKET_BYTES)
            except TimeoutError:
                pass
            except ConnectionError:
                return b""

    def _used_s(self) -> float:
        """Return the seconds of the processor that the process has used: clock_getcpuclockid(3)."""
        return time.clock_gettime(~self._process.pid << 3 | CPUCLOCK_SCHED)

    def _refuse_ended(self, reader: str) -> None:
        """Raise why the process has ended, if an image or the system has ended it."""
        self._channel.close()
        status = self._process.wait(EXIT_S)
        if status > 0:
            raise ImportError(f"a decoding process ended with status {status}: it has written why to this log")
        if not status:
            return
        name = signal.Signals(-status).name
        log.warning("a decoding process ended by %s at %s data", name, reader)
        if -status == signal.SIGXCPU:
            raise _overran(reader, self._seconds)
        raise ServiceError(
            ErrorCode.UNDECODABLE,
            f"found {reader} data at which the decoder crashed ({name}), needed a whole image: {OTHER_FORM}",
        )


def _overran(reader: str, seconds: float) -> ServiceError:
    return ServiceError(
        ErrorCode.IMAGE_TOO_COSTLY,
        f"found {reader} data that takes over {seconds:g} s to decode, needed at most that: scale it down, "
        f"or {OTHER_FORM}",
    )


def _pixels(shape: Shape, file: FileIO) -> np.ndarray:
    values = np.empty((shape.height, shape.width, shape.bands), np.uint8)
    file.seek(0)
    if file.readinto(values.data) != values.nbytes:
        raise ValueError("the decoding process returned too few pixels")
    return values
