"""Servers made of namespaces: each with its own network, processes, mounts and Docker daemon, on one machine.

A server is a network namespace on a bridge (in a namespace of its own, so that this machine's firewall is left alone),
and below it a process tree that ends with its first process, as a machine without power does. Nothing of it is left
when it is closed, but for what lies in its folder.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.runtimes.swarm import consensus
from tests.wait import TIMEOUT_S, until

SETUP = """
set -eu
hostname "$NAME"
mkdir -p "$HOME/cgroup"
mount --rbind /sys/fs/cgroup "$HOME/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$HOME/cgroup" /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$HOME/etc,workdir=$HOME/etc.work" /etc
set -- --data-root "$HOME/data" --host "unix://$HOME/docker.sock"
exec dockerd "$@" --cgroup-parent "$CGROUP" --storage-driver overlay2
"""
CGROUPS = Path("/sys/fs/cgroup")
UNDECIDED = (*consensus.NOT_DONE, *consensus.PERHAPS_DONE)
NAMESPACES = Path("/run/netns")


class Lan:
    """A bridge that servers are plugged into, and this machine too, as 10.N.0.254."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.prefix = name, f"10.{number}.0"
        self.namespace, self.port = f"{name}-lan", f"{name}-me"
        run("ip", "netns", "add", self.namespace)
        self._ip("link", "add", "br0", "type", "bridge")
        self._ip("link", "set", "br0", "up")
        run("ip", "link", "add", self.port, "type", "veth", "peer", "name", "me", "netns", self.namespace)
        self._ip("link", "set", "me", "master", "br0", "up")
        run("ip", "address", "add", f"{self.prefix}.254/24", "dev", self.port)
        run("ip", "link", "set", self.port, "up")

    def plug_in(self, namespace: str, name: str, address: str) -> None:
        """Give the network namespace a card `eth0` that leads here."""
        self._ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", namespace)
        self._ip("link", "set", f"to-{name}", "master", "br0", "up")
        inside = ("ip", "-netns", namespace)
        run(*inside, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run(*inside, "link", "set", device, "up")

    def let_through(self, name: str, yes: bool) -> None:
        """Cut the cable of a server, or mend it."""
        self._ip("link", "set", f"to-{name}", "up" if yes else "down")

    def close(self) -> None:
        for command in (("ip", "link", "delete", self.port), ("ip", "netns", "delete", self.namespace)):
            subprocess.run(command, capture_output=True)

    def _ip(self, *arguments: str) -> None:
        run("ip", "-netns", self.namespace, *arguments)


class Server:
    """One server with a Docker daemon, its folder, its slots (name: CPUs), and its address on the network."""

    def __init__(self, lan: Lan, number: int, name: str, home: Path, slots: Mapping[str, str]) -> None:
        self.lan, self.name, self.home, self.slots = lan, name, home, slots
        self.address = f"{lan.prefix}.{number}"
        self.namespace, self.cgroup = f"{lan.name}-{name}", f"/{lan.name}-{name}"
        self.process: subprocess.Popen[bytes] | None = None
        for folder in ("data", "etc/wanwu", "etc/docker", "etc.work"):
            (home / folder).mkdir(parents=True)
        self.write_slots(slots)
        offered = [f"slot={slot}" for slot in slots]
        (home / "etc/docker/daemon.json").write_text(json.dumps({"node-generic-resources": offered}))

    @property
    def host(self) -> str:
        """DOCKER_HOST."""
        return f"unix://{self.home}/docker.sock"

    @property
    def node_key(self) -> Path:
        """The file of the key by which this server is known to its swarm."""
        return self.home / "data/swarm/certificates/swarm-node.key"

    def write_slots(self, slots: Mapping[str, str]) -> None:
        table = {name: {"cpus": cpus, "gpu": ""} for name, cpus in slots.items()}
        (self.home / "etc/wanwu/slots.json").write_text(json.dumps({"server": self.name, "slots": table}))

    def start(self) -> None:
        """Connect it and power it on, where it is not, until the daemon answers."""
        if not (NAMESPACES / self.namespace).exists():
            run("ip", "netns", "add", self.namespace)
            self.lan.plug_in(self.namespace, self.name, self.address)
        self.lan.let_through(self.name, True)
        if self.process is None or self.process.poll() is not None:
            self._power_on()

    def _power_on(self) -> None:
        network = ["nsenter", f"--net={NAMESPACES / self.namespace}"]
        separate = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (self.home / "dockerd.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig=KILL", *network, *separate, "bash", "-c", SETUP],
                env={**os.environ, "HOME": str(self.home), "NAME": self.name, "CGROUP": self.cgroup},
                stdout=log,
                stderr=log,
            )
        until(f"the daemon of {self.name} answers", lambda: answers(self.home / "docker.sock"))

    def docker(self, *arguments: str) -> str:
        """What `docker ARGUMENTS` printed on this server, once its swarm's managers can decide it."""
        command = f"{self.name}: docker {' '.join(arguments)}"
        done = until(f"{command} is decided", lambda: self._decided(arguments))
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def _decided(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
        done = self.asked(*arguments)
        return None if any(sign in done.stderr for sign in UNDECIDED) else done

    def asked(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = ["docker", "--host", self.host, *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True)

    def swarm_state(self) -> str:
        return self.docker("info", "--format", "{{.Swarm.LocalNodeState}}").strip()

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        return json.loads(self.docker("inspect", *names)) if names else []

    def containers(self, of: str) -> list[str]:
        """The ids of the running containers of one service."""
        return self.docker("ps", "--quiet", "--filter", f"label=com.docker.swarm.service.name={of}").split()

    def cut_off(self) -> None:
        self.lan.let_through(self.name, False)

    def shut_down(self) -> None:
        """End the daemon in order, as before its data is copied."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGTERM)
        self.process.wait(TIMEOUT_S)

    def kill(self) -> None:
        """Take the power away: the cable is dead before any process is, so nobody is told."""
        self.cut_off()
        self._end()

    def forget(self) -> None:
        """Power off, and take away what it knows of its swarm."""
        self._end()
        shutil.rmtree(self.home / "data/swarm", ignore_errors=True)

    def close(self) -> None:
        self._end()
        subprocess.run(["ip", "netns", "delete", self.namespace], capture_output=True)
        for controller in CGROUPS.iterdir():
            for folder in sorted((controller / self.cgroup[1:]).rglob("*"), reverse=True):
                if folder.is_dir():
                    with contextlib.suppress(OSError):
                        folder.rmdir()
            with contextlib.suppress(OSError):
                (controller / self.cgroup[1:]).rmdir()

    def _end(self) -> None:
        """The first process of the server ends with this one, and all others with that."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        # Only when the last mount is gone can the folder be taken away.
        until(f"{self.name} is off", lambda: not self._processes())

    def _processes(self) -> list[str]:
        """Whatever still runs in one of the server's cgroups."""
        return [
            pid
            for file in (CGROUPS / "pids" / self.cgroup[1:]).rglob("cgroup.procs")
            for pid in file.read_text().split()
        ]


def answers(daemon: Path) -> bool:
    """Ask a Docker daemon by its socket: a client's start costs much more."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(daemon))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(100)
    except OSError:
        return False


def copy_images(source: Server, targets: Sequence[Server]) -> None:
    """Give the targets, which are off, the images of the source, which is off too."""
    for target in targets:
        for part in (source.home / "data").iterdir():
            # Nobody writes into a layer of an image, so that all may hold the same files.
            link = ["--link"] if part.name == "overlay2" else []
            if part.name != "engine-id":
                run("cp", "--archive", *link, str(part), str(target.home / "data"))


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
