"""Bare Debian roots and what is carried to them, made once; the roots and packages are kept outside the repository."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.host import images
from scripts.host.debs import Apt
from scripts.host.images import WORKERS
from scripts.host.systems import SYSTEMS
from tests.bootstrap import bundles, systemd
from tests.bootstrap.bundles import Image
from tests.bootstrap.hosts import First, Host, copy_root, start
from tests.cluster.servers import answers
from tests.wait import until

KEPT = Path(os.environ.get("WANWU_TEST_ROOTS", "/var/tmp/wanwu-roots"))
PHOTOS = ROOT / "worker/photos"


def packages(system: str) -> Path:
    """The folder of Docker's packages for `system`, as `make bundle` collects them."""
    folder = KEPT / _named(f"packages-{system}", SYSTEMS[system].requested)
    if not (folder / "Packages").exists():
        apt = Apt(SYSTEMS[system], KEPT / f"apt-{system}")
        apt.fetch(apt.resolve(), folder)
    return folder


def debian(codename: str) -> Path:
    """A small root with what checks signatures and lets `make init` in, never to be changed."""
    return _made_from(_bare(codename), f"{codename}-minimal", ["openssh-server"])


def _bare(codename: str) -> Path:
    """A root as debootstrap makes it, never to be changed; that of Debian 12 from the base of the images."""
    root = KEPT / codename
    if not root.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        draft = root.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        if codename == "bookworm":
            _unpack(images.BASE, draft)
        else:
            command = ["debootstrap", "--variant=minbase", codename, str(draft)]
            subprocess.run(command, check=True, capture_output=True)
        draft.rename(root)
    return _without_packages(root)


def _unpack(image: str, folder: Path) -> None:
    """Write the files of an image into a new folder, but for those of a container; name this machine's resolver there,
    as debootstrap does."""
    folder.mkdir()
    created = subprocess.run(["docker", "create", image], check=True, capture_output=True, text=True).stdout.strip()
    left_out = (
        "--exclude=.dockerenv",
        *(f"--exclude=etc/{name}" for name in ("hostname", "hosts", "mtab", "resolv.conf")),
    )
    with subprocess.Popen(["docker", "export", created], stdout=subprocess.PIPE) as exported:
        subprocess.run(["tar", "-C", folder, "-x", *left_out], stdin=exported.stdout, check=True)
    subprocess.run(["docker", "rm", created], check=True, capture_output=True)
    for name in ("hostname", "resolv.conf"):
        shutil.copy(f"/etc/{name}", folder / "etc")
    (folder / "etc/mtab").symlink_to("../proc/self/mounts")  # as packages of Debian make it


def debian_with_systemd() -> Path:
    """A Debian 12 root with systemd and what the local runtime needs from the distribution."""
    wanted = [*systemd.PACKAGES, "nginx-light", "make", "python3"]
    return _made_from(debian("bookworm"), "bookworm-service", wanted)


def debian_with_docker() -> Path:
    """A Debian 12 root with all that init-server.sh would install, for tests that are not about that."""
    return _made_from(debian("bookworm"), "bookworm-docker", SYSTEMS["debian-12"].requested, packages("debian-12"))


def _made_from(base: Path, name: str, wanted: Sequence[str], folder: Path | None = None) -> Path:
    """A copy of the root `base` with the packages `wanted`, from `folder` or from the root's own mirror."""
    root = KEPT / _named(name, [base.name, *wanted])
    if not root.exists():
        draft = root.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        subprocess.run(["cp", "--archive", base, draft], check=True)
        apt = ["chroot", str(draft), "apt-get", "-qq", "--yes", "--no-install-recommends"]
        if folder:
            shutil.copytree(folder, draft / "media/packages", copy_function=bundles.link)
            (draft / "media/sources.list").write_text("deb [trusted=yes] file:/media/packages ./\n")
            apt += ["-o", "Dir::Etc::SourceList=/media/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null"]
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (["update"], ["install", *wanted]):
            subprocess.run([*apt, *command], check=True, capture_output=True, env=environ)
        if folder:
            shutil.rmtree(draft / "media/packages")
            (draft / "media/sources.list").unlink()
        draft.rename(root)
    return _without_packages(root)


def _named(name: str, wanted: Sequence[str]) -> str:
    """Return a name for what is kept that is another one when other packages are wanted."""
    return f"{name}-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:8]}"


def _without_packages(root: Path) -> Path:
    """Take away what apt has downloaded, which would be copied to every host."""
    for pattern in ("var/cache/apt/archives/*.deb", "var/cache/apt/*.bin", "var/lib/apt/lists/*_*"):
        for path in root.glob(pattern):
            path.unlink()
    return root


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """An image of one small file."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "file").write_text("tiny\n")
    made = subprocess.run(["tar", "-C", folder, "-c", "file"], check=True, capture_output=True).stdout
    subprocess.run(["docker", "import", "-", "wanwu-tiny:test"], input=made, check=True, capture_output=True)
    image = bundles.save("wanwu-tiny:test", folder)
    yield image
    subprocess.run(["docker", "image", "rm", image.id], capture_output=True)


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Image:
    images.ensure([WORKERS["prepared"]])
    return bundles.save(WORKERS["prepared"].reference, tmp_path_factory.mktemp("worker"))


class Site:
    """Starts hosts, and takes them away."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts: list[Host] = []

    def carry(self, systems: Sequence[str], carried: list[Image], *models: Path, index_only: bool = False) -> Path:
        """The folder that every host finds in /media, with the bundle in it, which has `models` beside `photos`.

        With `index_only`, the bundle lists the systems' packages, which is all that a dry run reads of them.
        """
        media = self.folder / "media"
        debs = {system: packages(system) for system in systems}
        bundles.make(media / "bundle", debs, carried, [PHOTOS, *models], index_only)
        return media

    def host(self, codename: str, name: str, media: Path) -> Host:
        return self.host_of(debian(codename), name, media)

    def host_of(self, made: Path, name: str, media: Path, address: str = "10.77.0.1") -> Host:
        root = self.folder / name
        copy_root(made, root)
        self.hosts.append(start(made, root, name, media, f"{address}/24"))
        return self.hosts[-1]

    def host_with_docker(self, name: str, media: Path, address: str = "10.77.0.1") -> Host:
        """A host whose Docker was installed and runs before init-server.sh does: the bundle needs no packages."""
        host = self.host_of(debian_with_docker(), name, media, address)
        host.says("sh", "-c", "setsid --fork dockerd </dev/null >>/var/log/dockerd.log 2>&1")
        until(f"the Docker of {name} answers", lambda: answers(Path(f"/proc/{host.pid}/root/run/docker.sock")))
        return host

    def host_with_systemd(self, name: str, media: Path, first: First = systemd.SYSTEMD) -> Host:
        base, root = debian_with_systemd(), self.folder / name
        copy_root(base, root)
        systemd.configure(root)
        self.hosts.append(start(base, root, name, media, first=first))
        return self.hosts[-1]

    def boot(self, host: Host, media: Path) -> Host:
        """The same server started again, after it was shut down."""
        self.hosts.remove(host)
        self.hosts.append(start(host.base, host.root, host.name, media, first=host.first))
        return self.hosts[-1]

    def close(self) -> None:
        """Stop all hosts, whatever comes of each."""
        with ExitStack() as stack:
            for host in self.hosts:
                stack.callback(host.stop)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    own = Site(tmp_path)
    yield own
    own.close()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, tiny: Image) -> Iterator[Host]:
    """A Debian 12 host that no test changes, with a bundle in /media; its own Python need not be unpacked each time."""
    own = Site(tmp_path_factory.mktemp("bare"))
    yield own.host_of(debian_with_systemd(), "bare", own.carry(["debian-12"], [tiny], index_only=True))
    own.close()
