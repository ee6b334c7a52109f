"""One swarm of three servers for all tests here, and a fourth server, with two slots, that may join."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from nginx.gate.__main__ import INTERVAL_VARIABLE
from scripts.bootstrap.steps.swarm import GOES_ON
from scripts.cluster.config import ROOT
from scripts.cluster.models import content_hash
from scripts.host import docker
from tests.bootstrap.bundles import link
from tests.cluster.load import AT_ONCE, DEADLINE_S
from tests.cluster.servers import Lan, Server, copy_images
from tests.service import bare_environment
from tests.wait import until

PORT = 8080
KIT, NEWER = "kit", "kit-newer"  # below the home of the swarm
SLOTS = {"a": 1, "b": 1, "c": 1, "d": 2}  # as few as show that there may be several: all share this machine's CPUs
SERVING = "abc"
CPUS = sorted(os.sched_getaffinity(0))
NETWORK = os.getpid() % 200 + 20  # of 10.N.0.0/24; others may run these tests beside us
QUEUE = AT_ONCE + 16  # of one worker, which thus refuses nothing
# Several gateways ask all workers. And Swarm is seen to call a change done soon after its last task runs.
PATIENCE = {INTERVAL_VARIABLE: "0.5", "WANWU_MONITOR": "5s"}
IMAGES = """
from scripts.host import images
wanted = [images.GATEWAY, images.WORKERS["prepared"]]
"""
BUILD = """
images.ensure(wanted)
print(*(one.reference for one in wanted))
"""


@dataclass
class Swarm:
    """The servers, and the files that `make` is told of; commands are run on the one that is the `leader`."""

    home: Path
    servers: dict[str, Server] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    leader: str = "a"
    failed: bool = False
    """Whether a test failed since it was formed, which may have left anything."""
    lost: bool = False
    """Whether it could not be formed anew."""

    @property
    def manager(self) -> Server:
        return self.servers[self.leader]

    @property
    def source(self) -> Path:
        return self.home / "cluster.toml"

    @property
    def image(self) -> Path:
        return self.home / "models/photos/golden/one.png"

    def write(
        self,
        names: Sequence[str],
        folder: str = "photos",
        queue: int = QUEUE,
        models: Sequence[str] = ("photos",),
        tables: str = "",
    ) -> None:
        """The cluster's file, with some more `tables`; all `models` are the one in `folder`."""
        text = f"port = {PORT}\n{tables}[limits]\nqueue = {queue}\ndrain_s = 1\ndeadline_s = {DEADLINE_S}\n"
        for model in models:
            text += f'[[models]]\nname = "{model}"\nfolder = "{self.home}/models/{folder}"\n'
        for name in names:
            text += f'[[servers]]\nname = "{name}"\naddress = "{self.servers[name].address}"\n'
        self.source.write_text(text)

    def make(self, *arguments: str, kit: str = KIT) -> subprocess.CompletedProcess[str]:
        command = ["make", "--no-print-directory", *arguments, f"CLUSTER={self.source}", f"RUN_DIR={self.home}/run"]
        environ = {**bare_environment(), **PATIENCE, "DOCKER_HOST": self.manager.host}
        return subprocess.run(command, cwd=self.home / kit, capture_output=True, text=True, env=environ)

    def made(self, *arguments: str, kit: str = KIT) -> str:
        """What a target that must succeed has printed."""
        done = self.make(*arguments, kit=kit)
        assert done.returncode == 0, f"make {' '.join(arguments)}:\n{done.stdout}{done.stderr}{self.report()}"
        return done.stdout

    def status(self, of: str = "a") -> list[dict[str, Any]]:
        """What a server's gateway says of every worker."""
        workers: list[dict[str, Any]] = self.get(of, "/status").json().get("workers", [])
        return workers

    def get(self, server: str, path: str) -> requests.Response:
        return requests.get(f"http://{self.servers[server].address}:{PORT}{path}", timeout=60)

    def answers(self, server: str) -> bool:
        """Return whether the server's gateway is there."""
        try:
            return self.get(server, "/livez").ok
        except requests.RequestException:
            return False

    def slots_in(self, of: str = "a") -> set[str]:
        return {worker["slot"] for worker in self.status(of) if worker["in"]}

    def slots(self, names: str = SERVING) -> set[str]:
        """Return the slots that these servers offer."""
        return {slot for name in names for slot in self.servers[name].slots}

    def form(self) -> None:
        """Make a, b and c a new swarm that serves, whatever the four were in."""
        for server in self.servers.values():
            server.forget()
        self.servers["a"].start()
        self.leader = "a"
        self.manager.docker("swarm", "init", "--advertise-addr", self.manager.address)
        for name in ("b", "c"):
            self.join(name)
        self.write(SERVING)
        print(self.made("up"))

    def join(self, name: str) -> None:
        """Start a server, if it is off, and bring it into the swarm."""
        self.servers[name].start()
        token = self.manager.docker("swarm", "join-token", "--quiet", "worker").strip()
        joined = self.servers[name].asked("swarm", "join", "--token", token, f"{self.manager.address}:2377")
        assert joined.returncode == 0 or GOES_ON in joined.stderr, joined.stderr
        until(f"{name} is in the swarm", lambda: self.servers[name].swarm_state() == "active")

    def leave(self, name: str) -> None:
        """Take a server that was drained out of the swarm."""
        self.servers[name].docker("swarm", "leave")
        self.servers[name].shut_down()
        self.manager.docker("node", "rm", "--force", name)

    def mend(self) -> None:
        """Give a, b and c their cables, their power and what they served at first, and wait for all their workers."""
        for name in SERVING:
            self.servers[name].start()
        found = self.source.read_text()
        self.write(SERVING)
        if self.source.read_text() != found:
            self.made("up")
        whole = self.slots()
        until(
            "every slot of a, b and c is in rotation at each gateway",
            lambda: all(self.answers(name) and self.slots_in(name) == whole for name in SERVING),
        )

    def make_newer_kit(self) -> None:
        """Write the kit of a later version, and give a, b and c its images: those of before, under their new names."""
        shutil.copytree(self.home / KIT, self.home / NEWER, ignore=shutil.ignore_patterns("wheelhouse"))
        (self.home / NEWER / "worker/contract/version.py").write_text('VERSION = "99.0.0"\n')
        sources = run_in(self.home / NEWER, IMAGES + "print(*(f'{one.repository}:{one.digest}' for one in wanted))")
        for name in SERVING:
            for image, newer in zip(self.images, sources, strict=True):
                self.servers[name].docker("tag", image, f"{newer}-later")

    def report(self) -> str:
        """What the nodes and tasks do, and the ends of their logs, for a failure's report."""
        shown = ["{{.Name}} {{.Node}} {{.DesiredState}} {{.CurrentState}} {{.Error}}"]
        nodes = self.manager.asked("node", "ls").stdout
        tasks = self.manager.asked("stack", "ps", "wanwu", "--no-trunc", "--format", *shown).stdout
        logs = self.manager.asked("service", "logs", "--tail", "6", "wanwu_photos")
        return f"\n{nodes}\n{tasks}\n{(logs.stdout + logs.stderr)[-5000:]}"


@pytest.fixture(scope="session")
def swarm() -> Iterator[Swarm]:
    """Three servers that serve; whatever came of them is taken away."""
    if fault := unable():
        if os.environ.get("CI") == "true":
            pytest.fail(fault, pytrace=False)
        pytest.skip(fault)
    with ExitStack() as stack:
        own = Swarm(Path(tempfile.mkdtemp(prefix="wanwu-", dir="/tmp")))
        stack.callback(shutil.rmtree, own.home, ignore_errors=True)
        lan = Lan(f"wanwu{NETWORK}", NETWORK)
        stack.callback(lan.close)
        for number, (name, count) in enumerate(SLOTS.items(), 1):
            slots = {f"{name}-cpu{index}": str(CPUS[(number + index) % len(CPUS)]) for index in range(count)}
            own.servers[name] = Server(lan, number, name, own.home / name, slots)
            stack.callback(own.servers[name].close)
        copy_kit(own.home / KIT)
        make_volume(own.home / "models")
        furnish(own)
        own.form()
        yield own


@pytest.fixture
def whole(swarm: Swarm) -> Swarm:
    """The swarm with the workers of a, b and c in rotation; a new one once a test has failed."""
    if swarm.lost:
        pytest.fail("the swarm could not be formed anew after a failure: see the test before", pytrace=False)
    if swarm.failed:
        swarm.lost = True
        swarm.form()
        swarm.failed = swarm.lost = False
    swarm.mend()
    return swarm


def unable() -> str | None:
    """Why servers cannot be made here, in one line; None when they can."""
    if os.geteuid() != 0:
        return "the cluster tests make namespaces: run them as root"
    if missing := [name for name in ("dockerd", "ip", "nsenter", "unshare", "iptables") if not shutil.which(name)]:
        return f"the cluster tests need {', '.join(missing)}: install what has them"
    fault = docker.engine_fault()
    return fault and f"the cluster tests take their images from an engine: {fault}"


def copy_kit(folder: Path) -> None:
    """What servers are given of this repository: images are named after it, and it must not change meanwhile."""
    for part in ("scripts", "worker", "nginx", "compose"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("Makefile", ".dockerignore"):
        shutil.copy(ROOT / part, folder)
    if (ROOT / "wheelhouse").is_dir():
        shutil.copytree(ROOT / "wheelhouse", folder / "wheelhouse", copy_function=link)


def make_volume(folder: Path) -> None:
    """A model volume: `photos`, and `photos` with one byte of its network changed.

    The network is tiny: dozens of workers start and thousands of requests are answered here, and it is none of them.
    """
    from tests import folders  # imports torch, which the tests of init-server.sh do without

    for name in ("photos", "broken"):
        folders.openvino_folder(folder / name, network=folders.small_network(), name="photos")
    weights = next((folder / "broken").rglob("*.bin"))
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    models = {name: content_hash(folder / name) for name in ("photos", "broken")}
    (folder / ".wanwu-volume.json").write_text(json.dumps({"volume": "tests", "models": models}))


def furnish(swarm: Swarm) -> None:
    """Images for every server; all are off."""
    swarm.images = run_in(swarm.home / KIT, IMAGES + BUILD)[-2:]
    archive = swarm.home / "images.tar"
    docker.run(["save", "--output", str(archive), *swarm.images])
    first, *others = swarm.servers.values()
    first.start()
    first.docker("load", "--input", str(archive))
    archive.unlink()
    first.shut_down()
    copy_images(first, others)


def run_in(kit: Path, program: str) -> list[str]:
    """Return the words that a Python program prints with the modules of a kit."""
    done = subprocess.run([sys.executable, "-c", program], cwd=kit, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add what the tasks did to the report of a test that failed; the next one needs another swarm."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    own = item.funcargs.get("swarm") if isinstance(item, pytest.Function) else None
    if report.failed and isinstance(own, Swarm):
        own.failed = True
        report.sections.append(("tasks", own.report()))
