"""`make use` on a running service: supervisord, Nginx, the gate, workers, and clients that never try again."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest
import requests

from scripts.models import model_store
from scripts.models.verified import record
from tests.commands.services import PATIENT, make_here, nothing_lost, processes, workers_in
from tests.folders import openvino_folder, slow_folder, torchvision_folder
from tests.invalid_models import crashing, wrong_weights
from tests.service import PHOTOS, Service, bare_environment, create, table

NOTICE_TO_CLIENTS = "requests that name {0} (/models/{0}, ?model={0}) now get 404"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two small models, verified, and the embedded one, too."""
    models = tmp_path_factory.mktemp("library")
    verified(models, model_store.EMBEDDED)
    for name in ("bright", "other"):
        verified(models, openvino_folder(models / name))
    return models


@pytest.fixture(scope="module")
def shared(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = create(tmp_path_factory.mktemp("shared"), table("bright", models / "bright"), PATIENT)
    service.up()
    yield service
    service.down()


@pytest.fixture
def running(shared: Service, models: Path) -> Iterator[Service]:
    """Two workers of `bright`, which every test leaves as they were, and one that failed gets back."""
    text = shared.cluster.read_text()
    yield shared
    if shared.cluster.read_text() != text or set(processes(shared)) != {"bright-0", "bright-1"}:
        shared.cluster.write_text(text)
        shared.down()
        shared.up()


@pytest.fixture
def image(models: Path) -> Path:
    return models / "bright/golden/one.png"


def verified(models: Path, folder: Path) -> Path:
    """Say of `folder` what `make model-verify` says of a good one."""
    record(models, folder, good=True)
    return folder


def use(service: Service, models: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return service.make("use", f"NAME={name}", f"MODELS={models}", *arguments)


def use_here(service: Service, models: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return make_here(service, "use", f"NAME={name}", f"MODELS={models}", *arguments)


def refused(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode != 0, done.stdout
    return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]


def swapped(service: Service, models: Path, name: str, *arguments: str) -> list[str]:
    """The lines that it printed."""
    done = use(service, models, name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr + service.logs()
    return done.stdout.splitlines()


def test_a_swap_and_the_way_back_lose_no_request(running: Service, models: Path, image: Path) -> None:
    text = running.cluster.read_text()
    with nothing_lost(running, image, "bright", "other"):
        said = swapped(running, models, "other")
    assert said[-2:] == [
        f"other is served and answers /predict; {running.cluster} was changed", NOTICE_TO_CLIENTS.format("bright"),
    ]  # fmt: skip
    assert running.cluster.read_text() == text.replace("bright", "other")
    gone = requests.post(f"{running.endpoint}/models/bright", data=image.read_bytes(), timeout=60)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "unknown_model")
    before = processes(running)
    assert before.keys() == workers_in(running) == {"other-0", "other-1"}
    assert "-- already running" in running.up()
    assert processes(running) == before

    with nothing_lost(running, image, "other", "bright"):
        swapped(running, models, "bright")
    assert running.cluster.read_text() == text
    assert processes(running).keys() == {"bright-0", "bright-1"}


def test_a_request_that_is_still_being_sent_is_answered_by_the_old_model(
    running: Service, models: Path, image: Path
) -> None:
    body, stop = image.read_bytes(), threading.Event()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"

    def trickle(client: socket.socket) -> int:
        """Send a byte a second, since Nginx gives up a client that is silent for long; return how many."""
        client.sendall(head.encode())
        for sent in range(len(body) - 1):
            if stop.wait(1):
                break
            client.sendall(body[sent : sent + 1])
        return sent

    with started(running, models, "other") as using, ThreadPoolExecutor() as pool:
        # Not before: each list that Nginx loads gives the requests of those before it another minute.
        heard(using, "starting other-1")
        with socket.create_connection(("127.0.0.1", running.port)) as client:
            sending = pool.submit(trickle, client)
            try:
                heard(using, "waiting for requests in flight")
                assert {worker.rpartition("-")[0] for worker in workers_in(running)} == {"other"}
            finally:
                stop.set()
            client.sendall(body[sending.result() :])
            status, answer = answer_of(client)
        using.communicate()
        assert using.returncode == 0
    assert (status, answer["model"]) == (200, "bright")
    swapped(running, models, "bright")


def heard(using: subprocess.Popen[str], words: str) -> None:
    """Read what is printed up to the line with `words`."""
    lines: list[str] = []
    for line in using.stdout or ():
        lines.append(line)
        if words in line:
            return
    raise AssertionError(f"not printed: {words}\n{''.join(lines)}")


def answer_of(client: socket.socket) -> tuple[int, dict[str, object]]:
    response = HTTPResponse(client)
    response.begin()
    return response.status, json.loads(response.read())


@contextmanager
def started(service: Service, models: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """`python3 -m scripts use`, whose lines are read as they come, and which is told signals without make between."""
    place = ["--cluster", service.cluster, "--run-dir", service.run_dir, "--runtime", "local", "--models", models]
    command = [sys.executable, "-m", "scripts", "use", *map(str, place), "--name", name]
    with subprocess.Popen(
        command, cwd=service.root, stdout=subprocess.PIPE, text=True, env=bare_environment()
    ) as using:
        yield using


BROKEN: list[tuple[Callable[[Path], Path], str]] = [
    (wrong_weights, r"wrong-0 is broken: .*/model\.bin: sha256 is \w{64}, model\.toml says"),
    (crashing, r"wrong-0 exits as soon as it starts; its log ends with:"),
]


@pytest.fixture
def slow(models: Path) -> Iterator[str]:
    """A model whose golden image takes 10 s of a core, so that a switch to it cannot come before a signal."""
    folder = verified(models, slow_folder(models / "slow", golden=(255, 255, 255)))
    yield folder.name
    shutil.rmtree(folder)


def test_a_swap_that_fails_or_is_interrupted_changes_nothing(
    running: Service, models: Path, slow: str, image: Path
) -> None:
    before, text = processes(running), running.cluster.read_bytes()
    with nothing_lost(running, image, "bright"):
        for make, reason in BROKEN:
            verified(models, make(models / "wrong"))
            lines = refused(use(running, models, "wrong"))
            shutil.rmtree(models / "wrong")
            assert any(re.match(reason, line) for line in lines), lines
            assert lines[-1] == "bright: served as before; nothing was changed"
            assert processes(running) == before
        for number in (signal.SIGINT, signal.SIGTERM):
            with started(running, models, slow) as using:
                heard(using, f"starting {slow}-0")
                using.send_signal(number)
                using.communicate()
            assert using.returncode == 130
            assert processes(running) == before
    assert workers_in(running) == before.keys()
    assert running.cluster.read_bytes() == text
    assert "-- already running" in running.up()
    assert processes(running) == before


def test_a_command_that_was_killed_leaves_what_the_next_up_puts_right(running: Service, models: Path) -> None:
    text, before = running.cluster.read_bytes(), processes(running)
    with started(running, models, "other") as using:
        heard(using, "starting other-0")
        using.kill()
    assert running.cluster.read_bytes() == text
    assert refused(use_here(running, models, "other")) == [
        f"{running.run_dir}: the running service differs from {running.cluster}: run `make up` first"
    ]
    running.up()
    assert processes(running) == before
    assert workers_in(running) == before.keys()


def test_one_of_two_models_is_swapped_for_one_that_needs_torch_and_the_other_notices_nothing(
    models: Path, image: Path, tmp_path: Path
) -> None:
    folder = verified(models, torchvision_folder(models / "small"))
    other = f'[[models]]\nname = "other"  # the other\nfolder = "{models}/other"\n'
    service = create(tmp_path, table("bright", models / "bright") + other, PATIENT)
    service.up()
    try:
        before = processes(service)
        assert refused(use_here(service, models, "other")) == [
            "NAME: other is already served next to bright, needed a model that is not: choose another, "
            f"or remove its table from {service.cluster} and run `make up` first"
        ]
        assert refused(use_here(service, models, "small", "INSTEAD_OF=dome")) == [
            "INSTEAD_OF: found 'dome', needed one of bright, other"
        ]
        with nothing_lost(service, image, "bright"):
            said = swapped(service, models, "small", "INSTEAD_OF=other")
        asked = requests.post(f"{service.endpoint}/models/small", data=image.read_bytes(), timeout=60)
        assert processes(service)["bright-0"] == before["bright-0"]
        assert "-- already running" in service.up()
    finally:
        service.down()
        shutil.rmtree(folder)
    assert asked.status_code == 200
    assert f"small is served; {service.cluster} was changed" in said
    assert f'name = "small"  # the other\nfolder = "{folder}"\n' in service.cluster.read_text()


def test_where_nothing_runs_the_file_is_changed_and_up_serves_it(models: Path, tmp_path: Path) -> None:
    service = create(tmp_path)
    text = service.cluster.read_text()
    done = use_here(service, models, "bright")
    said = f"{service.cluster} now names bright instead of photos; nothing is running: `make up` serves it\n"
    assert done.stdout == said
    assert service.cluster.read_text() == text.replace(PHOTOS, table("bright", models / "bright"))
    assert use_here(service, models, "bright").stdout == (
        f"already served as bright: {models}/bright; `make rollout` applies changes to its files\n"
    )
    assert use_here(service, models, "photos").returncode == 0
    assert service.cluster.read_text() == text
    assert not service.run_dir.exists()


def test_a_service_that_runs_elsewhere_is_not_left_behind(running: Service, models: Path, tmp_path: Path) -> None:
    other = Service(running.cluster, tmp_path / "run", running.port)
    assert refused(use_here(other, models, "other")) == [
        f"{tmp_path}/run: found no service running from here, but one that answers on port {running.port}: "
        "set the RUN_DIR= of that service, or stop it"
    ]


def test_what_cannot_be_served_is_refused_before_anything_starts(running: Service, models: Path) -> None:
    before, text, pids = workers_in(running), running.cluster.read_bytes(), processes(running)
    (models / "empty").mkdir()
    folder = wrong_weights(models / "new")
    try:
        said = {name: refused(use_here(running, models, name)) for name in ("", "No", "nope", "empty", "new")}
    finally:
        shutil.rmtree(folder)
        (models / "empty").rmdir()
    name = 'up to 63 lower-case letters, digits, ".", "_" or "-", the first a letter or digit'
    assert said == {
        "": [f"NAME: found '', needed {name}"],
        "No": [f"NAME: found 'No', needed {name}"],
        "nope": ["NAME: found 'nope', needed one of bright, empty, new, other, photos"],
        "empty": [f"NAME: {models}/empty/model.toml: No such file or directory"],
        "new": [f"NAME: {folder} is not verified in its present state: run `make model-verify NAME=new` first"],
    }
    assert (workers_in(running), running.cluster.read_bytes(), processes(running)) == (before, text, pids)
