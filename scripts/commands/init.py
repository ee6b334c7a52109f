"""`make init HOSTS="user@a user@b"`: copy the bundle to servers over SSH, and run init-server.sh there in parallel.

The first host creates a swarm and the others join it. With `--join`, all join an existing swarm instead; a single host
creates none. Files that a host already has are not sent again, interrupted transfers resume, and every file's
checksum is verified.
"""

import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Annotated

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.bundle.layout import SUMS, read_sums
from scripts.bundle.run import OUT
from scripts.commands import Command, Place
from scripts.host.remote import Remote
from scripts.runtimes.run_directory import INIT_LOGS, run_dir

REMOTE = "wanwu-bundle"  # in the remote account's home directory
CLUSTER = "wanwu-cluster.toml"  # next to REMOTE, since it is not part of the bundle
SMALL = 4_000_000  # bytes: files up to this size share one stream, and are sent again if it is interrupted
CHUNK = 1 << 20
SERVE = "-- to serve: "  # init-server.sh begins its line about the next step with this
AS_ROOT = '$([ "$(id -u)" = 0 ] || echo sudo -n)'
Install = Callable[[Remote, Sequence[str]], None]


@dataclass(frozen=True)
class InitOptions:
    """What to copy where; `models` and `join` are flags of init-server.sh, by default the bundle's models and none."""

    hosts: Annotated[str, Flag("user@host, one or several, separated by spaces")] = ""
    bundle: Annotated[Path, Flag("what `make bundle` wrote")] = OUT
    models: Annotated[str, Flag("there; without it the bundle's own", "SOURCE")] = ""
    join: Annotated[str, Flag("a swarm that there is already", "TOKEN@ADDRESS")] = ""
    gpu: Annotated[str, Flag("none: CPUs alone", choices=("auto", "none"))] = "auto"


def run(place: Place, options: InitOptions) -> None:
    """Make every host a member of the service.

    Raise CommandError with a line for each host that failed, after all others are done.
    """
    place.load_cluster()  # raises CommandError before anything is sent
    remotes = _remotes(options, run_dir(place.run_dir).path)
    faults: dict[str, str] = {}
    _each(remotes, lambda remote: _carry(remote, options.bundle.absolute()), faults)
    ready = [remote for remote in remotes if remote.host not in faults]
    install = partial(_install, options=options, cluster=place.cluster)
    if options.join or len(remotes) == 1:
        join = ["--join", options.join] if options.join else []
        _each(ready, lambda remote: install(remote, join), faults)
    else:
        _swarm(remotes[0], ready, install, faults)
    if faults:
        raise CommandError(*(faults[remote.host] for remote in remotes if remote.host in faults))


def _remotes(options: InitOptions, run: Path) -> list[Remote]:
    hosts, bundle = options.hosts.split(), options.bundle.absolute()
    if not hosts:
        raise CommandError('HOSTS: found none, needed the servers: make init HOSTS="root@a root@b"')
    if repeated := sorted({host for host in hosts if hosts.count(host) > 1}):
        raise CommandError(f"HOSTS: found {repeated[0]} twice, needed each server once")
    if odd := [host for host in hosts if host.startswith("-") or "/" in host]:
        raise CommandError(f"HOSTS: found {odd[0]}, needed the form user@host")
    if not (bundle / SUMS).is_file():
        raise CommandError(f"{bundle}: found no {SUMS}, needed a bundle: run `make bundle`, or name one with BUNDLE=")
    logs = run / INIT_LOGS
    logs.mkdir(parents=True, exist_ok=True)
    remotes = [Remote(host, logs / f"{host.rpartition('@')[2]}.log") for host in hosts]
    for remote in remotes:
        remote.log.unlink(missing_ok=True)
        remote.log.touch(0o600)  # init-server.sh prints the swarm's join token
    return remotes


def _swarm(first: Remote, ready: Sequence[Remote], install: Install, faults: dict[str, str]) -> None:
    """Install the first host, then all others in parallel once it has a swarm."""
    join: list[str] = []

    def begin(remote: Remote) -> None:
        install(remote, ["--first"])
        token = remote.run(f"{AS_ROOT} docker swarm join-token --quiet worker").strip()
        address = remote.run(f"{AS_ROOT} docker info --format '{{{{.Swarm.NodeAddr}}}}'").strip()
        join.extend(["--join", f"{token}@{address}"])

    others = [remote for remote in ready if remote != first]
    if first in ready:
        _each([first], begin, faults)
    if join:
        _each(others, lambda remote: install(remote, join), faults)
    else:
        faults |= {other.host: f"{other.host}: not begun, as {first.host} has no swarm to join" for other in others}


def _each(remotes: Sequence[Remote], work: Callable[[Remote], None], faults: dict[str, str]) -> None:
    """Call `work` on all `remotes` in parallel; store the first line of each CommandError in `faults` by host."""

    def attempt(remote: Remote) -> None:
        try:
            work(remote)
        except CommandError as refusal:
            faults[remote.host] = refusal.lines[0]

    with ThreadPoolExecutor(max(1, len(remotes))) as pool:
        list(pool.map(attempt, remotes))


def _carry(remote: Remote, bundle: Path) -> None:
    """Copy the missing files of the bundle, and verify all of them."""
    sums = read_sums(bundle)
    remote.run(f"mkdir -p {REMOTE} && cat >{REMOTE}/{SUMS}.new", (bundle / SUMS).read_bytes())
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
        raise CommandError(f"{remote.host}: found {damaged[0]} damaged after copying: look at its disk, run this again")
    remote.run(f"mv {REMOTE}/{SUMS}.new {REMOTE}/{SUMS}")


def _missing(remote: Remote) -> list[str]:
    said = remote.run(f"cd {REMOTE} && LC_ALL=C sha256sum --check {SUMS}.new 2>/dev/null | sed -n 's/: FAILED.*//p'")
    return [_read_name(line) for line in said.splitlines()]


def _read_name(line: str) -> str:
    """Return the file name in a line of sha256sum, which escapes backslashes and marks it by a leading one."""
    return line[1:].replace("\\\\", "\\") if line.startswith("\\") else line


def _pack(pipe: IO[bytes], bundle: Path, names: Sequence[str]) -> None:
    with tarfile.open(fileobj=pipe, mode="w|") as archive:
        for name in names:
            archive.add(bundle / name, name)


def _send_large(remote: Remote, path: Path, name: str, wanted: str) -> None:
    """Resume an interrupted transfer of one file; if its checksum is not `wanted`, send it once more from the start."""
    place = shlex.quote(f"{REMOTE}/{name}")
    folder = shlex.quote(f"{REMOTE}/{name}".rpartition("/")[0])
    for _ in range(2):
        begun = int(remote.run(f"mkdir -p {folder}; stat -c %s {place}.part 2>/dev/null || echo 0"))
        start = begun if begun <= path.stat().st_size else 0
        remote.send(f"cat {'>>' if start else '>'}{place}.part", partial(_pour, path, start))
        if remote.run(f"sha256sum <{place}.part")[:64] == wanted:
            remote.run(f"mv {place}.part {place}")
            return
        remote.run(f"rm -f {place}.part")
    raise CommandError(f"{remote.host}: {name} does not arrive as {SUMS} says: check it here with `make bundle-verify`")


def _pour(path: Path, start: int, pipe: IO[bytes]) -> None:
    with path.open("rb") as file:
        file.seek(start)
        shutil.copyfileobj(file, pipe, CHUNK)


def _install(remote: Remote, swarm: Sequence[str], options: InitOptions, cluster: Path) -> None:
    """Run init-server.sh on the host with the local cluster.toml, and print its result lines."""
    models = shlex.quote(options.models) if options.models else '"$PWD/models"'
    arguments = shlex.join(["--gpu", options.gpu, *swarm])
    remote.run(f"cat >{CLUSTER}", cluster.read_bytes())
    place = f'--bundle "$PWD" --models {models} --cluster ../{CLUSTER}'
    script = f"cd {REMOTE} && {AS_ROOT} bash init-server.sh {place} {arguments} 2>&1"
    step(f"{remote.host}: running init-server.sh")
    fault = result = serve = last = ""
    command = remote.command(script)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ssh:
        for line in ssh.stdout or ():
            remote.append_log(line)
            last = line.decode(errors="replace").strip()
            fault = fault or (last if last.startswith("!! ") else "")
            serve = last.removeprefix("-- ") if last.startswith(SERVE) else serve
            result = last.removeprefix("-- ") if "nothing changed" in last or "changes made" in last else result
    if ssh.returncode:
        raise remote.command_error(ssh.returncode, fault or last)
    for said in filter(None, (result, serve)):
        step(f"{remote.host}: {said}")


COMMAND = Command("make bare servers members, over SSH", InitOptions, run)
