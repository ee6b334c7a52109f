"""No input takes a worker, its memory or its neighbours' time: every kind of hostile request, beside a steady client.

What is asserted: the workers' processes stay the same and in rotation, none of the steady client's requests fails,
every hostile request is answered as its kind allows, and no worker holds more memory than it may. Seconds are shown, by
conftest.py at the end of the run and in .pytest_cache/hostile.tsv, and not asserted.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

from nginx.gate.__main__ import DEFAULT_INTERVAL_S, INTERVAL_VARIABLE
from scripts.runtimes.run_directory import RunDir
from tests import folders, zero_shot_folders
from tests.hostile import WORKER_BYTES, Case, bodies, clients, gif, jpeg, other, png, tiff, webp
from tests.local.gateway_harness import ROOT, Gateway, RealWorker
from tests.local.hostile_harness import HEADER, MEGABYTE, TABLE, Answer, Attack, Target
from tests.local.worker_harness import running
from tests.processes import children, variable
from tests.service import NO_DRAIN, Service, create
from worker.contract.settings import SETTINGS

PHOTO = (ROOT / "worker/photos/golden/coffee.jpg").read_bytes()
WORKER = SETTINGS["worker"].variable
PHOTO_TYPE = {"Content-Type": "image/jpeg"}
DEADLINE_S = 6  # long for an ordinary request; a flood keeps every core busy until then
TEXT_MEMORY_BYTES = 1_500 * MEGABYTE  # of one that holds torch, too

KINDS: dict[str, Sequence[Case]] = {
    "TIFF tags": tiff.TAG_CASES,
    "TIFF layout": tiff.LAYOUT_CASES,
    "PNG": png.CASES,
    "WebP": webp.CASES,
    "GIF": gif.CASES,
    "JPEG": jpeg.CASES,
    "other types": other.CASES,
    "JSON": bodies.JSON_CASES,
    "forms": bodies.FORM_CASES,
    "many images": bodies.MANY_CASES,
    "tensors": bodies.TENSOR_CASES,
    "codings": bodies.CODED_CASES,
    "floods": clients.FLOODS,
}


def target(service: Service) -> Target:
    """Return the service as a target: each worker is the first child of its gunicorn, a child of supervisord."""
    run = RunDir(service.run_dir)

    def pids() -> dict[str, int]:
        masters = children(int(run.pid_file.read_text()))
        named = {variable(pid, WORKER): pid for pid in masters}
        return {name: child for name, pid in named.items() if name for child in children(pid)[:1]}

    ordinary = ("/predict", PHOTO, PHOTO_TYPE)
    return Target(service.port, pids, run.logs / "gate.log", ordinary, DEADLINE_S, WORKER_BYTES)


@pytest.fixture(scope="module")
def hostile_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose gate looks as often as it does for users: a probe that waits a moment is no failure."""
    running = create(tmp_path_factory.mktemp("hostile"), extra=f"{NO_DRAIN}deadline_s = {DEADLINE_S}\n")
    with patch.dict(os.environ, {INTERVAL_VARIABLE: DEFAULT_INTERVAL_S}):
        running.up()
    yield running
    running.down()


@pytest.fixture(scope="module")
def table() -> Path:
    """Return the file of the rows, which conftest.py shows at the end."""
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(f"{HEADER}\n", encoding="utf-8")
    return TABLE


@pytest.fixture(scope="module")
def attack(hostile_service: Service, table: Path) -> Iterator[Attack]:
    with Attack(target(hostile_service), table) as running:
        yield running


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_of_its_kind_does_harm(attack: Attack, kind: str) -> None:
    faults = attack.all(kind, KINDS[kind])
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("act", clients.ACTS)
def test_no_client_does_harm_by_how_it_sends(attack: Attack, act: str) -> None:
    def misbehave() -> list[Answer]:
        clients.ACTS[act](attack.target.port)
        return []

    faults = attack.during("clients", Case(act, bytes), 0, misbehave, lambda _: [])
    assert not faults, "\n".join(faults)


@pytest.fixture(scope="module")
def label_attack(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """Run a zero-shot model of 80 templates, as CLIP has them, behind a gateway of its own."""
    home = tmp_path_factory.mktemp("labels")
    (home / "templates.txt").write_text("".join(f"a photo of a {{}}, number {number}.\n" for number in range(80)))
    folders.image(folders.RED, (64, 64)).save(home / "red.png")
    source = zero_shot_folders.FAMILIES["clip"](home / "source")
    options = ("--templates", home / "templates.txt", "--golden", home / "red.png")
    folder = zero_shot_folders.add_model(source, home / "clip", *options)
    with ExitStack() as stack:
        worker = stack.enter_context(
            running(folder, home / "log", MODEL="clip", WORKER="clip-0", CACHE=home / "cache", DEADLINE_S=DEADLINE_S)
        )
        (home / "gateway").mkdir()
        gateway = stack.enter_context(Gateway(home / "gateway", {}))
        gateway.workers["clip-0"], gateway.pools["clip"] = RealWorker("clip-0", "clip", worker.port), ["clip-0"]
        gateway.write_members()
        gateway.start()
        ordinary = ("/models/clip", PHOTO, PHOTO_TYPE)
        log = home / "gateway/gate.log"
        aim = Target(gateway.port, lambda: {"clip-0": worker.inner_pid}, log, ordinary, DEADLINE_S, TEXT_MEMORY_BYTES)
        yield stack.enter_context(Attack(aim, table))


def test_no_flood_of_labels_does_harm(label_attack: Attack) -> None:
    faults = label_attack.all("labels", clients.LABELS)
    assert not faults, "\n".join(faults)
