"""`make use` on a running service: supervisord, Nginx, the gate, workers, and clients that never try again."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest
import requests

from scripts.models import model_store
from tests.commands.test_make import processes, workers_in
from tests.folders import openvino_folder, slow_folder, torchvision_folder
from tests.invalid_models import crashing, wrong_weights
from tests.load import PAUSE_S, steady_load
from tests.service import NO_DRAIN, PHOTOS, Service, bare_environment, create
from tests.wait import until

NOTICE_TO_CLIENTS = "requests that name {0} (/models/{0}, ?model={0}) now get 404"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of one small model, verified."""
    models = tmp_path_factory.mktemp("library")
    verified(models, openvino_folder(models / "bright"))
    return models


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = create(tmp_path_factory.mktemp("shared"), extra=NO_DRAIN)
    service.up()
    yield service
    service.down()


@pytest.fixture
def running(shared: Service) -> Iterator[Service]:
    """Two workers of `photos`, which every test leaves as they were, and one that failed gets back."""
    text = shared.cluster.read_text()
    yield shared
    if shared.cluster.read_text() != text or set(processes(shared)) != {"photos-0", "photos-1"}:
        shared.cluster.write_text(text)
        shared.up()


@pytest.fixture
def image(models: Path) -> Path:
    return models / "bright/golden/one.png"


def verified(models: Path, folder: Path) -> Path:
    """Say of `folder` what `make model-verify` says of a good one."""
    model_store.record(models, folder, good=True)
    return folder


def use(service: Service, models: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return service.make("use", f"NAME={name}", f"MODELS={models}", *arguments)


def refused(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode != 0, done.stdout
    return [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]


@contextmanager
def nothing_lost(service: Service, image: Path, *models: str) -> Iterator[None]:
    """Steady load; each request of it must be answered by one of `models`, and /readyz say yes throughout."""
    ready, stop = Counter[int](), threading.Event()

    def look() -> None:
        while not stop.wait(PAUSE_S):
            ready[requests.get(f"{service.endpoint}/readyz", timeout=60).status_code] += 1

    looking = threading.Thread(target=look)
    with steady_load(service.endpoint, image) as load:
        until("requests are answered", lambda: load.answered > 20)
        looking.start()
        try:
            yield
        finally:
            stop.set()
            looking.join()
        load_before = set(load.workers)
        load.workers.clear()
        until("requests are answered", lambda: sum(load.workers.values()) > 20)
    assert load.outcomes == {"200": load.answered}
    assert set(ready) == {200}
    assert {worker.rpartition("-")[0] for worker in load_before} == set(models)
    assert {worker.rpartition("-")[0] for worker in load.workers} == {models[-1]}


@contextmanager
def as_it_was(service: Service, image: Path) -> Iterator[None]:
    """The same processes of `photos` serve after the block as before it, by the same file, and no request is lost."""
    before, text = processes(service), service.cluster.read_bytes()
    assert {name.rpartition("-")[0] for name in before} == {"photos"}
    with nothing_lost(service, image, "photos"):
        yield
    assert service.cluster.read_bytes() == text
    assert processes(service) == before
    assert workers_in(service) == before.keys()
    assert "-- already running" in service.up()


def test_a_swap_and_the_way_back_lose_no_request(running: Service, models: Path, image: Path) -> None:
    photos = running.cluster.read_text()
    with nothing_lost(running, image, "photos", "bright"):
        done = use(running, models, "bright")
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == [
        f"bright is served and answers /predict; {running.cluster} was changed", NOTICE_TO_CLIENTS.format("photos"),
    ]  # fmt: skip
    assert running.cluster.read_text() == photos.replace('"photos"', '"bright"').replace(
        '"worker/photos"', f'"{models}/bright"'
    )
    gone = requests.post(f"{running.endpoint}/models/photos", data=image.read_bytes(), timeout=60)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "unknown_model")
    before = processes(running)
    assert before.keys() == workers_in(running) == {"bright-0", "bright-1"}
    assert "-- already running" in running.up()
    assert processes(running) == before
    assert running.make("rollout").returncode == 0
    assert processes(running).keys() == workers_in(running) == {"bright-2", "bright-3"}

    verified(models, model_store.EMBEDDED)
    with nothing_lost(running, image, "bright", "photos"):
        assert use(running, models, "photos").returncode == 0
    assert running.cluster.read_text() == photos
    assert processes(running).keys() == {"photos-0", "photos-1"}


def test_a_request_that_is_still_being_sent_is_answered_by_the_old_model(
    running: Service, models: Path, image: Path
) -> None:
    body = image.read_bytes()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(head.encode() + body[:1])
        with started(running, models, "bright") as using:
            sent = 1
            for line in using.stdout or ():
                if "waiting for requests in flight" in line:
                    break
                client.sendall(body[sent : sent + 1])  # Nginx gives up a client that is silent for long
                sent += 1
            assert {worker.rpartition("-")[0] for worker in workers_in(running)} == {"bright"}
            client.sendall(body[sent:])
            status, answer = answer_of(client)
            assert using.wait() == 0
    assert (status, answer["model"]) == (200, "photos")
    assert use(running, models, "photos").returncode == 0


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


BROKEN = [
    pytest.param(wrong_weights, r"wrong-0 is broken: .*/model\.bin: sha256 is \w{64}, model\.toml says", id="weights"),
    pytest.param(crashing, r"wrong-0 exits as soon as it starts; its log ends with:", id="crash"),
]


@pytest.mark.parametrize(("make", "reason"), BROKEN)
def test_a_model_that_does_not_become_ready_changes_nothing(
    running: Service, models: Path, image: Path, make: Callable[[Path], Path], reason: str
) -> None:
    folder = verified(models, make(models / "wrong"))
    try:
        with as_it_was(running, image):
            lines = refused(use(running, models, "wrong"))
        assert "wrong" not in json.dumps(requests.get(f"{running.endpoint}/status", timeout=60).json())
    finally:
        shutil.rmtree(folder)
    assert any(re.match(reason, line) for line in lines)
    assert lines[-1] == "photos: served as before; nothing was changed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_before_the_switch_changes_nothing(
    running: Service, models: Path, image: Path, number: signal.Signals
) -> None:
    # Its golden image takes 10 s of a core, so the switch cannot come before the signal.
    folder = verified(models, slow_folder(models / "slow", golden=(255, 255, 255)))
    try:
        with as_it_was(running, image), started(running, models, "slow") as using:
            for line in using.stdout or ():
                if "starting slow-0" in line:
                    using.send_signal(number)
                    break
            using.communicate()
            assert using.returncode == 130
    finally:
        shutil.rmtree(folder)


def test_a_command_that_was_killed_leaves_what_the_next_up_puts_right(
    models: Path, image: Path, tmp_path: Path
) -> None:
    service = create(tmp_path, extra=NO_DRAIN)
    service.up()
    try:
        text = service.cluster.read_bytes()
        with started(service, models, "bright") as using:
            for line in using.stdout or ():
                if "starting bright-0" in line:
                    using.kill()
                    break
        assert service.cluster.read_bytes() == text
        assert refused(use(service, models, "bright")) == [
            f"{service.run_dir}: the running service differs from {service.cluster}: run `make up` first"
        ]
        service.up()
        assert processes(service).keys() == workers_in(service) == {"photos-0", "photos-1"}
        assert use(service, models, "bright").returncode == 0
        assert processes(service).keys() == workers_in(service) == {"bright-0", "bright-1"}
    finally:
        service.down()


def test_one_of_two_models_is_swapped_for_one_that_needs_torch_and_the_other_notices_nothing(
    models: Path, image: Path, tmp_path: Path
) -> None:
    folder = verified(models, torchvision_folder(models / "small"))
    other = f'[[models]]\nname = "bright"  # the other\nfolder = "{models}/bright"\n'
    service = create(tmp_path, PHOTOS + other, NO_DRAIN)
    service.up()
    try:
        before = processes(service)
        assert refused(use(service, models, "bright")) == [
            "NAME: bright is already served next to photos, needed a model that is not: choose another, "
            f"or remove its table from {service.cluster} and run `make up` first"
        ]
        assert refused(use(service, models, "small", "INSTEAD_OF=dome")) == [
            "INSTEAD_OF: found 'dome', needed one of photos, bright"
        ]
        with nothing_lost(service, image, "photos"):
            done = use(service, models, "small", "INSTEAD_OF=bright")
            assert done.returncode == 0, done.stdout + done.stderr
        asked = requests.post(f"{service.endpoint}/models/small", data=image.read_bytes(), timeout=60)
        assert processes(service)["photos-0"] == before["photos-0"]
        assert "-- already running" in service.up()
    finally:
        service.down()
        shutil.rmtree(folder)
    assert asked.status_code == 200
    assert f"small is served; {service.cluster} was changed" in done.stdout.splitlines()
    assert f'name = "small"  # the other\nfolder = "{folder}"\n' in service.cluster.read_text()


def test_where_nothing_runs_the_file_is_changed_and_up_serves_it(models: Path, tmp_path: Path) -> None:
    service = create(tmp_path)
    done = use(service, models, "bright")
    said = f"{service.cluster} now names bright instead of photos; nothing is running: `make up` serves it\n"
    assert done.stdout == said
    assert f'name = "bright"\nfolder = "{models}/bright"\n' in service.cluster.read_text()
    assert use(service, models, "bright").stdout == (
        f"already served as bright: {models}/bright; `make rollout` applies changes to its files\n"
    )
    assert not service.run_dir.exists()


def test_a_service_that_runs_elsewhere_is_not_left_behind(running: Service, models: Path, tmp_path: Path) -> None:
    other = Service(running.cluster, tmp_path / "run", running.port)
    assert refused(use(other, models, "bright")) == [
        f"{tmp_path}/run: found no service running from here, but one that answers on port {running.port}: "
        "set the RUN_DIR= of that service, or stop it"
    ]


def test_what_cannot_be_served_is_refused_before_anything_starts(running: Service, models: Path) -> None:
    before, text, pids = workers_in(running), running.cluster.read_bytes(), processes(running)
    (models / "empty").mkdir()
    folder = wrong_weights(models / "new")
    try:
        said = {name: refused(use(running, models, name)) for name in ("", "No", "nope", "empty", "new")}
    finally:
        shutil.rmtree(folder)
        (models / "empty").rmdir()
    name = 'up to 63 lower-case letters, digits, ".", "_" or "-", the first a letter or digit'
    assert said == {
        "": [f"NAME: found '', needed {name}"],
        "No": [f"NAME: found 'No', needed {name}"],
        "nope": ["NAME: found 'nope', needed one of bright, empty, new, photos"],
        "empty": [f"NAME: {models}/empty/model.toml: No such file or directory"],
        "new": [f"NAME: {folder} is not verified in its present state: run `make model-verify NAME=new` first"],
    }
    assert (workers_in(running), running.cluster.read_bytes(), processes(running)) == (before, text, pids)
