"""The answers to many images: processes pinned one a core, each decoding and answering as a worker does.

An image that ends its process, or never comes back, is left out, and a new process goes on with the others.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np

from scripts.cluster.hardware import Hardware
from scripts.cluster.plan import near_cores, physical_cores
from scripts.models.tools.answers import asker, check_count, open_engine, outputs
from scripts.models.tools.evaluate.metrics import TOP
from scripts.models.tools.prepare import scaling
from scripts.models.tools.prepare.isolated import ENDING_S, SPAWN, Failed, IsolatedProcess, Place
from scripts.models.tools.prepare.measure import MEMORY
from worker.contract.errors import ServiceError
from worker.contract.fields import ModelError
from worker.models.folder import ModelFolder, read_folder

AHEAD = 2  # images that a process has been sent: it works on the next while its answer is read
LOAD_S, IMAGE_S = 600.0, 300.0  # whatever takes longer hangs
TURN_S = 1.0  # between two looks for what hangs
MOST_BYTES = 1 << 29  # that are read of a file
PROCESS_BYTES = 700_000_000  # an interpreter, its libraries, and an image of the most pixels while it is decoded
COPIES = 3  # of a network in memory: as it was read, as it runs, as it runs in a second batch size


@dataclass(frozen=True)
class Answer:
    """The TOP classes of an image, best first, and the score of the best."""

    best: tuple[int, ...]
    score: float


Answered = Answer | str  # or why there is no answer


def places(hardware: Hardware, folder: Path, on_gpus: bool) -> list[Place]:
    """Return where processes run: one beside each GPU, or on all cores, as few each as the memory allows."""
    if on_gpus:
        cores = physical_cores(hardware.cpus)
        return [Place(scaling.numbers(near), gpu.uuid) for gpu, near in near_cores(hardware.gpus[: len(cores)], cores)]
    held = PROCESS_BYTES + COPIES * sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    sizes = scaling.sizes(hardware.cpus)
    teams = [scaling.places(hardware.cpus, size) for size in sizes]
    return next((team for team in teams if len(team) * held <= MEMORY * hardware.memory_bytes), teams[-1])


def answers(
    folder: Path, images: Sequence[Path], at: Sequence[Place], ready: Callable[[], None]
) -> Iterator[tuple[int, Answered]]:
    """Yield the position of every image with its answer, in the order in which they come.

    Call `ready` when the first process has loaded the engine. Raise ModelError when one of them cannot.
    """
    waiting, started = deque(range(len(images))), False
    crew = [Evaluator(place, folder) for place in at[: len(images)]]
    try:
        while waiting or any(one.sent for one in crew):
            wait([one.connection for one in crew], TURN_S)
            for turn, one in enumerate(crew):
                yield from one.received()
                if one.loaded and not started:
                    started = True
                    ready()
                if one.fault:
                    if not one.loaded:
                        raise ModelError(one.fault)
                    if one.sent:
                        yield one.sent.popleft(), one.fault
                    waiting.extendleft(reversed(one.sent))
                    one.end()
                    crew[turn] = Evaluator(one.place, folder)
                elif one.loaded:
                    while waiting and len(one.sent) < AHEAD:
                        one.send(waiting[0], images[waiting.popleft()])
    finally:
        for one in crew:
            one.end()


class Evaluator:
    """A process at `place` that answers images in the order in which they are sent."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place = place
        self.sent: deque[int] = deque()  # positions of images without an answer
        self.loaded = False
        self.fault = ""  # why it goes on no longer
        self._patience_s, self._heard_s = LOAD_S, time.monotonic()
        self.connection, theirs = SPAWN.Pipe()
        self._process = IsolatedProcess(place, answer_all, theirs, folder, len(place.cpus), place.gpu)
        theirs.close()

    def send(self, position: int, path: Path) -> None:
        """Have it answer the image at `path`."""
        if not self.sent:
            self._heard_s = time.monotonic()
        self.sent.append(position)
        with suppress(OSError):  # it has ended, which the next look shows
            self.connection.send(path)

    def received(self) -> Iterator[tuple[int, Answered]]:
        """Yield the answers that are there; learn whether it has loaded, and whether it has ended or hangs."""
        try:
            while self.connection.poll():
                answer = self.connection.recv()
                self._patience_s, self._heard_s = IMAGE_S, time.monotonic()
                if self.loaded:
                    yield self.sent.popleft(), answer
                self.loaded = True
        except (EOFError, OSError):
            self.fault = self._ending()
        busy = self.sent or not self.loaded
        if busy and not self.fault and time.monotonic() - self._heard_s > self._patience_s:
            self.fault = f"no answer within {self._patience_s:.0f} s"

    def _ending(self) -> str:
        try:
            self._process.result(ENDING_S)
        except Failed as failure:
            return str(failure)
        return "its process ended"

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.__exit__()
        self.connection.close()


def answer_all(images: Connection, path: Path, threads: int, gpu: str) -> None:
    """Answer every path that comes; a first None says that the engine is ready. Raises ModelError."""
    folder = read_folder(path)
    engine = open_engine(folder, threads, gpu)
    check_count(folder.output.labels, outputs(folder, engine))
    ask = asker(folder, engine)
    images.send(None)
    while True:
        images.send(_answer(folder, ask, images.recv()))


def _answer(folder: ModelFolder, ask: Callable[[bytes], np.ndarray], path: Path) -> Answered:
    try:
        with path.open("rb") as file:
            scores = folder.output.scores(ask(file.read(MOST_BYTES)))
    except ServiceError as error:
        return error.message
    except OSError as error:
        return error.strerror or str(error)
    except Exception as error:  # whatever an engine raises is no reason to leave the other images out
        return " ".join(f"{type(error).__name__}: {error}".split())
    best = folder.output.best(scores, TOP)
    if not np.isfinite(scores[best]).all():
        return "the network gives scores that are not numbers"
    return Answer(tuple(best), float(scores[best[0]]))
