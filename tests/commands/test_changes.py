"""What `make up` changes on a running service, and the way back, under load that never tries again.

One service lives through all of it: the previous release starts it, this kit takes it over, gives it back, changes its
limits, models and code, and refuses what it cannot do.
"""

import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import requests

from scripts.cluster.config import ROOT
from scripts.host.environments import SERVE
from tests.commands.services import ONE_WORKER, PATIENT, nothing_lost, processes, workers_in
from tests.folders import openvino_folder
from tests.invalid_models import wrong_answer
from tests.service import Service, bare_environment, create, free_ports, table

RELEASE = (
    ROOT / "tests/releases/0.1.0.tar.xz"
)  # `git archive` of what `make up` needs of it; models and page are left out
CODE = ("Makefile", "compose", "nginx", "scripts", "worker")


@dataclass(frozen=True)
class Site:
    """A service, the former kit and this one, which both can run it, and a model to serve beside the first."""

    former: Service
    service: Service
    other: Path

    def names(self) -> set[str]:
        """The workers in rotation, each of which has its process, and no other has one."""
        names = workers_in(self.service)
        assert processes(self.service).keys() == names
        return names

    def change(self, before: str, after: str) -> str:
        """Change the cluster file and bring the service up; return the file's former text."""
        text = self.service.cluster.read_text()
        assert before in text
        self.service.cluster.write_text(text.replace(before, after))
        self.service.up()
        return text


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    model = openvino_folder(folder / "models/bright")
    service = create(folder / "service", table("bright", model), ONE_WORKER + PATIENT)
    with tarfile.open(RELEASE) as archive:
        archive.extractall(folder / "former")  # noqa: S202 - it is our own
    borrow_environment(folder / "former")
    for name in CODE:
        link_or_copy(ROOT / name, folder / "kit" / name)
    (folder / "kit/.venv").symlink_to(ROOT / ".venv")
    site = Site(
        replace(service, root=folder / "former"),
        replace(service, root=folder / "kit"),
        openvino_folder(folder / "models/other"),
    )
    yield site
    site.service.down()


def link_or_copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "photos"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def borrow_environment(kit: Path) -> None:
    """Give the kit's workers the packages of this one: none of the few that they need has another version there."""
    folder = kit / ".venv/serve"
    folder.mkdir(parents=True)
    for part in ("bin", "lib"):
        (folder / part).symlink_to(SERVE.folder / part)
    shutil.copy(SERVE.folder / "pyvenv.cfg", folder)
    asks = "from scripts.host.environments import SERVE, _fingerprint; print(_fingerprint(SERVE, False), end='')"
    said = subprocess.run(["python3", "-c", asks], cwd=kit, capture_output=True, check=True, env=bare_environment())
    (folder / "installed").write_bytes(said.stdout)


def test_a_service_is_upgraded_changed_and_brought_back_without_losing_a_request(site: Site) -> None:
    service = site.service
    site.former.up()
    with nothing_lost(service, site.other / "golden/one.png", "bright"):
        assert site.names() == {"bright-0"}
        first = processes(service)

        service.up()
        assert site.names() == {"bright-1"}
        assert (service.run_dir / "supervisord.conf").resolve().is_relative_to(service.root)

        done = service.make("rollback")
        assert done.returncode == 0, done.stdout + done.stderr
        assert site.names() == {"bright-0"}
        assert not first.items() & processes(service).items()
        assert (service.run_dir / "supervisord.conf").resolve().is_relative_to(site.former.root)
        before = processes(service)
        assert "-- already running" in site.former.up()
        assert processes(service) == before

        plain = site.change("drain_s = 0", "drain_s = 0\nqueue = 40")
        assert [limit_of(pid) for pid in processes(service).values()] == ["40"]
        one = site.change("workers = 1", f'workers = "auto"\n{table("other", site.other)}')
        assert {name.rpartition("-")[0] for name in site.names()} == {"bright", "other"}
        done = service.make("rollback")
        assert done.returncode == 0, done.stdout + done.stderr
        assert plain != service.cluster.read_text() == one
        assert {name.rpartition("-")[0] for name in site.names()} == {"bright"}

        before = processes(service)
        wrong = wrong_answer(site.other.with_name("wrong"))
        service.cluster.write_text(one.replace(str(site.other.with_name("bright")), str(wrong)))
        done = service.make("up")
        service.cluster.write_text(one)
        assert done.returncode != 0
        assert re.search(r"^!! bright-\d is broken: .*golden/one\.png", done.stderr, re.MULTILINE)
        assert "!! bright: served as before; nothing was changed" in done.stderr.splitlines()
        assert processes(service) == before

        for changed in ("worker/app.py", "nginx/routes.conf"):
            with (service.root / changed).open("a") as file:
                file.write("# changed\n")
        assert "-- the gateway changes" in service.up()
        assert not before.items() & processes(service).items()
        done = service.make("rollback")
        assert done.stderr.splitlines()[0] == (
            f"!! {service.root}: found other code than that which served, needed that: check it out there again"
        )
    changes = json.loads(service.make("history", "JSON=1").stdout)
    assert [(change["command"], change["outcome"].partition(":")[0]) for change in changes] == [
        ("up", "ok"), ("rollback", "ok"), ("up", "ok"), ("up", "ok"), ("rollback", "ok"), ("up", "failed"),
        ("up", "ok"), ("rollback", "failed"),
    ]  # fmt: skip


def limit_of(pid: int) -> str:
    """The queue that a worker was started with."""
    variables = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return next(text.partition("=")[2] for text in variables if text.startswith("WANWU_QUEUE="))


def test_after_kills_the_next_command_finds_the_gateway_wherever_it_listens(site: Site) -> None:
    service, text = site.service, site.service.cluster.read_text()
    for queue in ("41", "42"):
        elsewhere = text.replace(f"port = {service.port}", f"port = {free_ports(2)}")
        service.cluster.write_text(elsewhere.replace("queue = 40", f"queue = {queue}"))
        kill_at_stopping(service)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{service.endpoint}/livez", timeout=60)
    service.cluster.write_text(text)
    service.up()
    assert [limit_of(pid) for pid in processes(service).values()] == ["40"]
    site.names()


def kill_at_stopping(service: Service) -> None:
    """`make up`, killed once requests go to new workers and before the old ones have ended."""
    place = ["--cluster", service.cluster, "--run-dir", service.run_dir, "--runtime", "local"]
    command = [sys.executable, "-m", "scripts", "up", *map(str, place)]
    with subprocess.Popen(command, cwd=service.root, stdout=subprocess.PIPE, text=True, env=bare_environment()) as up:
        assert up.stdout
        assert any(line.startswith("-- stopping ") for line in up.stdout)
        up.kill()


def test_what_stops_the_service_is_done_by_force_there_and_back(site: Site) -> None:
    service, text = site.service, site.service.cluster.read_text()

    def made(*arguments: str) -> None:
        done = service.make(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr

    low = text.replace(f"port = {service.port}", "port = 999")
    keys = service.run_dir / "gateway/rendered/keys.json"
    known = keys.read_text()
    service.cluster.write_text(f"{low}\n[access]\nkeys = true\n")
    assert service.make("up").returncode != 0
    assert keys.read_text() == known
    service.cluster.write_text(low)
    made("up", "FORCE=1")
    made("rollback")
    assert service.cluster.read_text() == text
    before, model = processes(service), site.other.with_name("bright")
    model.rename(model.with_name("unmounted"))
    missing = service.make("rollback").stderr.splitlines()[0]
    assert missing == f"!! {model}: no such folder: name an existing one; is the models volume mounted?"
    model.with_name("unmounted").rename(model)
    assert service.make("rollback").stderr.splitlines()[:2] == [
        "!! port 999: only a service that starts anew may listen below 1024",
        "!! this stops what serves until the new workers are ready: FORCE=1 does it",
    ]
    assert processes(service) == before
    made("rollback", "FORCE=1")
    assert service.cluster.read_text() == low
    assert not before.items() & processes(service).items()
