"""What a fuzzing process is at, in a file that outlives it: the input that it died of is there to read."""

import mmap
import struct
import time
from pathlib import Path

HEAD = struct.Struct("<QQdI")  # inputs done, highest memory in bytes, start of the present input, its length
ROOM = 8 << 20


class Progress:
    """The file at `path`, mapped into the memory of the fuzzing process and of its watcher."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(HEAD.size + ROOM))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    def begin(self, data: bytes) -> None:
        """Note that `data` is at work now."""
        done, peak, _, _ = self._read()
        self._memory[HEAD.size : HEAD.size + len(data)] = data
        self._write(done, peak, time.monotonic(), len(data))

    def end(self, memory: int) -> None:
        """Note that it is done, and the most memory that was held meanwhile, in bytes."""
        done, peak, _, length = self._read()
        self._write(done + 1, max(peak, memory), 0.0, length)

    @property
    def done(self) -> int:
        return self._read()[0]

    @property
    def peak(self) -> int:
        return self._read()[1]

    @property
    def data(self) -> bytes:
        """The input at work, or the last one."""
        return self._memory[HEAD.size : HEAD.size + self._read()[3]]

    def busy_s(self) -> float:
        """Return for how long the present input has been at work; 0 between two inputs."""
        started = self._read()[2]
        return time.monotonic() - started if started else 0.0

    def _read(self) -> tuple[int, int, float, int]:
        done, peak, started, length = HEAD.unpack_from(self._memory)
        return done, peak, started, length

    def _write(self, done: int, peak: int, started: float, length: int) -> None:
        HEAD.pack_into(self._memory, 0, done, peak, started, length)
