"""Bare servers on this machine: each a Debian root with a mount, network, PID and UTS namespace of its own.

A root has its own files but for /usr, most of all, which is an overlay over the one that all share. The network has no
way out. A Docker daemon inside has its data in the root and its cgroups below one of its own.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster.config import ROOT
from tests.processes import command_line, stat
from tests.wait import TIMEOUT_S, until

SCRIPT = ROOT / "scripts/init-server.sh"
RUN_S = 600  # until a command hangs: installing packages takes minutes on a very busy machine
BARE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "dumb"}
PREPARE = """
set -eu
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mkdir -p "$root.usr/upper" "$root.usr/work" "$root/usr"
mount -t overlay overlay -o "lowerdir=$7/usr,upperdir=$root.usr/upper,workdir=$root.usr/work" "$root/usr"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
eval "$5"
mount --bind "$4" "$root/media"
mkdir "$root/run/lock"
hostname "$2"
ip link set lo up
ip link add eth0 type veth peer name way-out
ip address add "$3" dev eth0
ip link set eth0 up
ip link set way-out up
cd "$root"
mkdir -p "$root/run/old"
pivot_root . run/old
umount -l /run/old
rmdir /run/old
exec $6
"""


@dataclass(frozen=True)
class First:
    """The first process of a host, and what it needs."""

    command: str
    enter: str = ":"
    """A shell command before the host's namespaces are made; $0 is the name of the host's cgroup."""
    namespaces: tuple[str, ...] = ("--mount", "--net", "--pid", "--uts")
    prepare: str = 'mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"; mount --rbind /dev "$root/dev"'
    """The host's cgroups and devices, while both the machine's and those below $root can be seen."""
    ready: str = "true"
    """What succeeds in the host once it is up."""
    stop: str = "kill $(cat /run/docker.pid) && while [ -e /run/docker.pid ]; do sleep 0.1; done"
    end: int = signal.SIGKILL
    """The signal at which the first process ends after `stop`, and all others with it."""


SLEEP = First("sleep infinity")


@dataclass
class Host:
    """One server; `process` keeps its namespaces, and is their first process."""

    name: str
    base: Path
    """The Debian root that it was made from."""
    root: Path
    """Its own root as this machine sees it, without /usr."""
    keeper: subprocess.Popen[bytes]
    pid: int
    first: First

    def command(self, *arguments: str) -> list[str]:
        namespaces = ["nsenter", f"--target={self.pid}", *self.first.namespaces, "--root", "--wd"]
        return [*namespaces, "env", "-i", *(f"{name}={value}" for name, value in BARE.items()), *arguments]

    def run(self, *arguments: str, check: bool = False, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command, which reads `given`."""
        done = subprocess.run(self.command(*arguments), input=given, capture_output=True, text=True, timeout=RUN_S)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def says(self, *arguments: str) -> str:
        """What a command prints that must succeed."""
        return self.run(*arguments, check=True).stdout.strip()

    def init(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """init-server.sh as the bundle carries it."""
        return self.run("bash", "/media/bundle/init-server.sh", *confirmed(arguments), given=given)

    def init_killed_at_new_change(self, known: set[str], *arguments: str) -> tuple[set[str], str]:
        """Run init-server.sh and kill it with all its children once it begins a change of a kind not in `known`.

        Returns the kinds of the changes that were under way or just over then, none when it came to its end, and what
        it printed. Its output is a pipe that holds one line, so it cannot be further than the change after the one that
        was read.
        """
        output, end = os.pipe2(os.O_DIRECT | os.O_CLOEXEC)
        fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, 4096)
        script = ["bash", "/media/bundle/init-server.sh", *confirmed(arguments)]
        command = self.command("setsid", "--wait", *script)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=end, stderr=end), open(output) as lines:
            os.close(end)
            printed = ""
            for line in lines:
                printed += line
                if line.startswith("-> ") and kind(line) not in known:
                    self.kill_session("init-server.sh")
                    return {kind(one) for one in [line, *lines] if one.startswith("-> ")}, printed
        return set(), printed

    def init_interrupted_at(self, change: str, *arguments: str) -> tuple[int, str]:
        """Run init-server.sh and send it the signal of Ctrl-C when it begins the change; return status and output."""
        script = ["bash", "/media/bundle/init-server.sh", *confirmed(arguments)]
        command = self.command("setsid", "--wait", *script)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            printed = ""
            for line in process.stdout or ():
                printed += line
                if line == f"{change}\n":
                    (pid,) = (pid for pid in self.processes() if "-m scripts.bootstrap" in command_line(pid))
                    _kill(pid, signal.SIGINT)
        return process.returncode, printed

    def kill_session(self, script: str) -> None:
        """Kill every process of the session in which `script` runs; return once none of them is left.

        One may start another while the list is read, and one that was killed holds the script's lock until it is gone.
        """
        sessions = {stat[3] for stat in map(_stat, self.processes()) if stat and script in command_line(stat[0])}

        def is_gone() -> bool:
            left = [stat[0] for stat in filter(None, map(_stat, self.processes())) if stat[3] in sessions]
            for pid in left:
                _kill(pid)
            return not left

        until("the session is gone", is_gone)

    def processes(self) -> list[int]:
        """The machine's PIDs of all that runs in this host."""
        own = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(path / "ns/pid") == own:
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    def stop(self) -> None:
        """End all its processes, and take its root away."""
        self.cut_power()
        for folder in (self.root, self.root.with_suffix(".usr")):
            shutil.rmtree(folder, ignore_errors=True)

    def shut_down(self) -> None:
        """End all its processes, the first one last; `start` boots the same root again."""
        self.run("sh", "-c", self.first.stop)
        self.cut_power(self.first.end)

    def cut_power(self, number: int = signal.SIGKILL) -> None:
        """End all its processes by a signal to the first one, by default without a warning."""
        _kill(self.pid, number)
        self.keeper.wait(TIMEOUT_S)
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            _remove_cgroup(hierarchy / self.cgroup)

    @property
    def cgroup(self) -> str:
        return _cgroup(self.root)


def kind(change: str) -> str:
    """Return what a change does, but not to which file, folder or image: what differs only in that is written alike."""
    found = re.match("-> (create a swarm|write this|[a-z]+)", change)
    assert found, change
    return found[1]


def confirmed(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, with the signer of the bundle in /media as its maker has told."""
    return [*arguments, *(() if "--signers" in arguments else ("--signers", "/media/signers"))]


def connect(one: Host, other: Host, address: str) -> None:
    """Lead the way out of one to the other, which gets `address` on it and loses its own dead end."""
    subprocess.run([*_network(other), "ip", "link", "delete", "eth0"], check=True)
    subprocess.run([*_network(one), "ip", "link", "set", "way-out", "netns", str(other.pid)], check=True)
    for change in (["link", "set", "way-out", "name", "eth0"], ["address", "add", f"{address}/24", "dev", "eth0"],
                   ["link", "set", "eth0", "up"]):  # fmt: skip
        subprocess.run([*_network(other), "ip", *change], check=True)


def _network(host: Host) -> list[str]:
    return ["nsenter", f"--target={host.pid}", "--net"]


def copy_root(base: Path, root: Path) -> None:
    """Make `root` a copy of the Debian root `base`, but for its /usr."""
    root.mkdir(0o755)
    own = [path for path in base.iterdir() if path.name != "usr"]
    subprocess.run(["cp", "--archive", *own, root], check=True)


def start(base: Path, root: Path, name: str, media: Path, address: str = "10.77.0.1/24", first: First = SLEEP) -> Host:
    """Start a host of `root`, which is its own and was copied from `base`; what was carried to it is in /media."""
    _configure(root, name)
    keeper = subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", "bash", "-c", f'{first.enter}; exec "$@"', _cgroup(root),
         "unshare", *first.namespaces, "--fork", "--kill-child",
         "bash", "-c", PREPARE, "-", str(root), name, address, str(media), first.prepare, first.command,
         str(base)],
        stderr=root.with_suffix(".log").open("ab"), start_new_session=True,
    )  # fmt: skip
    host = Host(name, base, root, keeper, 0, first)
    until(f"{name} is up", lambda: _is_up(host))
    return host


def _configure(root: Path, name: str) -> None:
    (root / "etc/dpkg/dpkg.cfg.d/test").write_text("force-unsafe-io\n")
    (root / "etc/hostname").write_text(f"{name}\n")
    daemon = root / "etc/docker/daemon.json"
    if not daemon.exists():
        daemon.parent.mkdir(parents=True, exist_ok=True)
        # Several engines on one kernel must not share cgroups; it also is an administrator's setting that must survive.
        daemon.write_text(json.dumps({"cgroup-parent": f"/{_cgroup(root)}"}))


def _cgroup(root: Path) -> str:
    return f"wanwu-{root.name}"


def _is_up(host: Host) -> bool:
    assert host.keeper.poll() is None, "the host's first process has ended"
    children = Path(f"/proc/{host.keeper.pid}/task/{host.keeper.pid}/children").read_text().split()
    host.pid = int(children[0]) if children else 0
    begun = bool(host.pid) and command_line(host.pid).startswith(host.first.command)
    return begun and host.run("sh", "-c", host.first.ready).returncode == 0


def _stat(pid: int) -> list[int]:
    """Return PID, parent, group and session; nothing for a process that has ended."""
    try:
        fields = stat(Path(f"/proc/{pid}"))
    except OSError:
        return []
    return [] if fields[0] == "Z" else [pid, *(int(field) for field in fields[1:4])]


def _kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _remove_cgroup(folder: Path) -> None:
    for path in sorted(_below(folder), reverse=True):
        path.rmdir()


def _below(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield folder
        yield from (path for path in folder.rglob("*") if path.is_dir())
