"""`make init HOSTS="user@a user@b"`: carry the bundle to servers over SSH, and run init-server.sh there in parallel.

The first host begins the swarm and the others join it, unless a token of another swarm is given; one host alone needs
none. What a host has already is not sent again, what was cut off goes on where it stopped, and every file is summed.
"""

import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from scripts.base.console import step
from scripts.base.errors import Refusal
from scripts.bundle.layout import SUMS, read_sums
from scripts.runtimes.run_directory import INIT_LOGS

REMOTE = "wanwu-bundle"  # in the home of the account there
CLUSTER = "wanwu-cluster.toml"  # beside it: it is no part of the bundle
SMALL = 4_000_000  # bytes: up to there a file is sent in one stream with others, and anew when that is cut off
CHUNK = 1 << 20
SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15")
SSH_FAILED = 255  # ssh's own status, not that of what it ran
SERVE = "-- to serve: "  # how init-server.sh begins the line that says what to do next
AS_ROOT = '$([ "$(id -u)" = 0 ] || echo sudo -n)'


@dataclass(frozen=True)
class Order:
    """What to carry where: `models` and `join` as init-server.sh takes them, "" for the bundle's own and for none."""

    hosts: tuple[str, ...]
    cluster: Path  # whose [[servers]] decide the slots there
    bundle: Path
    models: str
    join: str
    gpu: str


@dataclass(frozen=True)
class Remote:
    """One server, as ssh knows it, and the log of what was done there."""

    host: str
    log: Path

    def command(self, script: str) -> list[str]:
        """`WANWU_SSH` stands in for "ssh", as in "ssh -F FILE"."""
        return [*shlex.split(os.environ.get("WANWU_SSH", "ssh")), *SSH_OPTIONS, self.host, script]

    def ask(self, script: str, given: bytes = b"") -> str:
        """What a script there prints; raises Refusal when it fails."""
        done = subprocess.run(self.command(script), input=given, capture_output=True)
        self._judge(done.returncode, done.stderr)
        return done.stdout.decode()

    def send(self, script: str, write: Callable[[IO[bytes]], None]) -> None:
        """Run a script there and `write` into its input; raises Refusal when it fails."""
        with tempfile.TemporaryFile() as said:
            command = self.command(script)
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said) as ssh:
                _feed(ssh, write)
            said.seek(0)
            self._judge(ssh.returncode, said.read())

    def note(self, text: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(text)

    def refusal(self, status: int, said: str) -> Refusal:
        why = (said.strip().splitlines() or ["it said nothing"])[-1].removeprefix("!! ")
        if status == SSH_FAILED:
            return Refusal(f"{self.host}: not reached ({why}): needed one that lets this account in by its SSH key")
        return Refusal(f"{self.host}: {why}; all it said is in {self.log}")

    def _judge(self, status: int, said: bytes) -> None:
        self.note(said)
        if status:
            raise self.refusal(status, said.decode(errors="replace"))


def _feed(ssh: subprocess.Popen[bytes], write: Callable[[IO[bytes]], None]) -> None:
    with suppress(BrokenPipeError):  # where it ends early, its exit status says so, too
        if ssh.stdin:
            with ssh.stdin as pipe:
                write(pipe)


def initialise(order: Order, run: Path) -> None:
    """Make every host a member. Raises Refusal with a line for each that could not be made one; the others are."""
    remotes = _remotes(order, run)
    faults: dict[str, str] = {}
    _each(remotes, lambda remote: _carry(remote, order.bundle), faults)
    ready = [remote for remote in remotes if remote.host not in faults]
    if order.join or len(remotes) == 1:
        join = ["--join", order.join] if order.join else []
        _each(ready, lambda remote: _run(remote, order, join), faults)
    else:
        _swarm(remotes[0], ready, order, faults)
    if faults:
        raise Refusal(*(faults[remote.host] for remote in remotes if remote.host in faults))


def _remotes(order: Order, run: Path) -> list[Remote]:
    if not order.hosts:
        raise Refusal('HOSTS: found none, needed the servers: make init HOSTS="root@a root@b"')
    if repeated := sorted({host for host in order.hosts if order.hosts.count(host) > 1}):
        raise Refusal(f"HOSTS: found {repeated[0]} twice, needed each server once")
    if odd := [host for host in order.hosts if host.startswith("-") or "/" in host]:
        raise Refusal(f"HOSTS: found {odd[0]}, needed the form user@host")
    if not (order.bundle / SUMS).is_file():
        raise Refusal(f"{order.bundle}: found no {SUMS}, needed a bundle: run `make bundle`, or name one with BUNDLE=")
    logs = run / INIT_LOGS
    logs.mkdir(parents=True, exist_ok=True)
    remotes = [Remote(host, logs / f"{host.rpartition('@')[2]}.log") for host in order.hosts]
    for remote in remotes:
        remote.log.unlink(missing_ok=True)
        remote.log.touch(0o600)  # init-server.sh tells the token that lets servers join
    return remotes


def _swarm(first: Remote, ready: Sequence[Remote], order: Order, faults: dict[str, str]) -> None:
    """The first host, and once it has a swarm all others at once."""
    join: list[str] = []

    def begin(remote: Remote) -> None:
        _run(remote, order, ["--first"])
        token = remote.ask(f"{AS_ROOT} docker swarm join-token --quiet worker").strip()
        address = remote.ask(f"{AS_ROOT} docker info --format '{{{{.Swarm.NodeAddr}}}}'").strip()
        join.extend(["--join", f"{token}@{address}"])

    others = [remote for remote in ready if remote != first]
    if first in ready:
        _each([first], begin, faults)
    if join:
        _each(others, lambda remote: _run(remote, order, join), faults)
    else:
        faults |= {other.host: f"{other.host}: not begun, as {first.host} has no swarm to join" for other in others}


def _each(remotes: Sequence[Remote], work: Callable[[Remote], None], faults: dict[str, str]) -> None:
    """`work` on all of them at once; what it refuses goes into `faults` by host."""

    def attempt(remote: Remote) -> None:
        try:
            work(remote)
        except Refusal as refusal:
            faults[remote.host] = refusal.lines[0]

    with ThreadPoolExecutor(max(1, len(remotes))) as pool:
        list(pool.map(attempt, remotes))


def _carry(remote: Remote, bundle: Path) -> None:
    """Have the bundle there, whole."""
    sums = read_sums(bundle)
    remote.ask(f"mkdir -p {REMOTE} && cat >{REMOTE}/{SUMS}.new", (bundle / SUMS).read_bytes())
    missing = _missing(remote)
    sizes = {name: (bundle / name).stat().st_size for name in missing}
    step(f"{remote.host}: {len(missing)} of {len(sums)} files to copy, {sum(sizes.values()) / 1e6:.1f} MB")
    if small := [name for name in missing if sizes[name] <= SMALL]:
        unpack = f"tar --extract --file=- --directory={REMOTE} --no-same-owner"
        remote.send(unpack, lambda pipe: _pack(pipe, bundle, small))
    for name in missing:
        if name not in small:
            _send_large(remote, bundle / name, name, sums[name])
    if damaged := _missing(remote):
        raise Refusal(f"{remote.host}: found {damaged[0]} damaged after copying: look at its disk, run this again")
    remote.ask(f"mv {REMOTE}/{SUMS}.new {REMOTE}/{SUMS}")


def _missing(remote: Remote) -> list[str]:
    said = remote.ask(f"cd {REMOTE} && LC_ALL=C sha256sum --check {SUMS}.new 2>/dev/null | sed -n 's/: FAILED.*//p'")
    return [_read_name(line) for line in said.splitlines()]


def _read_name(line: str) -> str:
    """Return the file's name, before which sha256sum writes a backslash where the name has one, doubled."""
    return line[1:].replace("\\\\", "\\") if line.startswith("\\") else line


def _pack(pipe: IO[bytes], bundle: Path, names: Sequence[str]) -> None:
    with tarfile.open(fileobj=pipe, mode="w|") as archive:
        for name in names:
            archive.add(bundle / name, name)


def _send_large(remote: Remote, path: Path, name: str, wanted: str) -> None:
    """Go on behind what came over before; where that was something else, start anew."""
    place = shlex.quote(f"{REMOTE}/{name}")
    folder = shlex.quote(f"{REMOTE}/{name}".rpartition("/")[0])
    for _ in range(2):
        begun = int(remote.ask(f"mkdir -p {folder}; stat -c %s {place}.part 2>/dev/null || echo 0"))
        start = begun if begun <= path.stat().st_size else 0
        remote.send(f"cat {'>>' if start else '>'}{place}.part", partial(_pour, path, start))
        if remote.ask(f"sha256sum <{place}.part")[:64] == wanted:
            remote.ask(f"mv {place}.part {place}")
            return
        remote.ask(f"rm -f {place}.part")
    raise Refusal(f"{remote.host}: {name} does not arrive as {SUMS} says: check it here with `make bundle-verify`")


def _pour(path: Path, start: int, pipe: IO[bytes]) -> None:
    with path.open("rb") as file:
        file.seek(start)
        shutil.copyfileobj(file, pipe, CHUNK)


def _run(remote: Remote, order: Order, swarm: Sequence[str]) -> None:
    models = shlex.quote(order.models) if order.models else '"$PWD/models"'
    arguments = shlex.join(["--gpu", order.gpu, *swarm])
    remote.ask(f"cat >{CLUSTER}", order.cluster.read_bytes())
    place = f'--bundle "$PWD" --models {models} --cluster ../{CLUSTER}'
    script = f"cd {REMOTE} && {AS_ROOT} bash init-server.sh {place} {arguments} 2>&1"
    step(f"{remote.host}: running init-server.sh")
    fault = result = serve = last = ""
    command = remote.command(script)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ssh:
        for line in ssh.stdout or ():
            remote.note(line)
            last = line.decode(errors="replace").strip()
            fault = fault or (last if last.startswith("!! ") else "")
            serve = last.removeprefix("-- ") if last.startswith(SERVE) else serve
            result = last.removeprefix("-- ") if "nothing changed" in last or "changes made" in last else result
    if ssh.returncode:
        raise remote.refusal(ssh.returncode, fault or last)
    for said in filter(None, (result, serve)):
        step(f"{remote.host}: {said}")
