"""What a worker decodes in another process: that one may crash, hang or be ended, and the worker serves on.

A process that decodes is stopped first, so that what happens to it happens while it has an image.
"""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import folders, images
from tests.local.gateway_harness import Reply
from tests.local.worker_harness import WorkerProcess, running
from tests.processes import children, stat
from tests.wait import until

PNG, JPEG = (images.encoded(images.photo(), kind) for kind in ("PNG", "JPEG"))
HEIC = images.encoded(images.photo(), "HEIC")
LIMIT_S = 3  # of an inference; a decoding process has twice as many
REQUEST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(HEIC) + HEIC


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    home = tmp_path_factory.mktemp("isolated")
    with running(folders.openvino_folder(home / "bright"), home / "log", INFERENCE_LIMIT_S=LIMIT_S) as process:
        for image in (PNG, JPEG):
            assert process.predict(image).status == 200
        assert children(process.inner_pid) == []  # none is started before an image needs it
        yield process


@contextmanager
def stopped(worker: WorkerProcess) -> Iterator[int]:
    """Yield the worker's decoding process, stopped; afterwards the worker is the same, and decodes in another one."""
    inner = worker.inner_pid
    assert worker.predict(HEIC).status == 200
    (pid,) = children(inner)
    os.kill(pid, signal.SIGSTOP)
    yield pid
    until("it is gone", lambda: pid not in children(inner))
    assert worker.predict(HEIC).status == 200
    assert worker.inner_pid == inner
    assert children(inner) != [pid]


def states(pid: int) -> list[str]:
    """Return the state of every thread of the process."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(stat(thread)[0])
    return found


def has_an_image(worker: WorkerProcess) -> bool:
    """Return whether the worker holds the memory file of a request to its process."""
    for file in Path(f"/proc/{worker.inner_pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if os.readlink(file).startswith("/memfd:image"):
                return True
    return False


@contextmanager
def decoding(worker: WorkerProcess) -> Iterator[Future[Reply]]:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(worker.predict, HEIC)
        until("its process has it", lambda: has_an_image(worker))
        yield future


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL], ids=str)
def test_a_decoder_that_crashes_costs_its_image_alone(worker: WorkerProcess, number: signal.Signals) -> None:
    with stopped(worker) as pid, decoding(worker) as reply:
        assert worker.predict(PNG).status == 200
        os.kill(pid, number)
        os.kill(pid, signal.SIGCONT)
        assert (reply.result().status, reply.result().error["code"]) == (422, "undecodable")
        assert reply.result().error["message"] == (
            f"found HEIC data at which the decoder crashed ({number.name}), needed a whole image: "
            "save it as a baseline JPEG or a PNG"
        )


def test_a_decoder_that_hangs_is_ended_and_the_image_refused(worker: WorkerProcess) -> None:
    with stopped(worker), decoding(worker) as reply:
        assert worker.predict(PNG).status == 200
        assert (reply.result().status, reply.result().error["code"]) == (422, "image_too_costly")
        assert reply.result().error["message"] == (
            "found HEIC data that takes over 6 s to decode, needed at most that: scale it down, "
            "or save it as a baseline JPEG or a PNG"
        )


def test_no_other_image_waits_for_those_that_wait_for_a_decoder(worker: WorkerProcess) -> None:
    many = 4  # more than a worker of one CPU decodes at once
    with stopped(worker), ThreadPoolExecutor(many) as pool:
        replies = [pool.submit(worker.predict, HEIC) for _ in range(many)]
        until("its process has one", lambda: has_an_image(worker))
        assert [worker.predict(image).status for image in (PNG, JPEG)] == [200, 200]
        assert not any(reply.done() for reply in replies)
        assert sorted(reply.result().status for reply in replies) == [200] * (many - 1) + [422]


def test_decoding_ends_with_the_client(worker: WorkerProcess) -> None:
    with stopped(worker), socket.create_connection(("127.0.0.1", worker.port)) as client:
        client.sendall(REQUEST)
        until("its process has it", lambda: has_an_image(worker))


def test_a_process_that_has_ended_while_idle_costs_nothing(worker: WorkerProcess) -> None:
    with stopped(worker) as pid:
        os.kill(pid, signal.SIGKILL)
        until("all its threads have ended", lambda: states(pid) == ["Z"])  # each holds its files open until then
        assert worker.predict(HEIC).status == 200


def test_the_deadline_ends_decoding_and_the_worker_ends_its_processes(tmp_path: Path) -> None:
    model = folders.openvino_folder(tmp_path / "bright")
    with running(model, tmp_path / "log", DEADLINE_S=6) as worker:
        with stopped(worker), decoding(worker) as reply:
            assert (reply.result().status, reply.result().error["code"]) == (504, "deadline")
        (pid,) = children(worker.inner_pid)
        worker.end()
    until("it has ended, too", lambda: not Path(f"/proc/{pid}").exists())
