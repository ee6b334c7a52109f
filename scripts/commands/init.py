"""`make init HOSTS="user@a user@b"`: copy the bundle to servers over SSH, and run init-server.sh there in parallel.

The first host creates a swarm and the others join it. With `--join-file`, all join an existing swarm instead; a single
host creates none. Files that a host already has are not sent again, interrupted transfers resume, and every file's
checksum is verified. A join token stands in no command line and in no log, and is replaced once it was used.
"""

import shlex
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from scripts.base.console import step
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.bootstrap.checks.bundle import OLDER
from scripts.bundle import signing
from scripts.bundle.layout import SUMS, read_sums
from scripts.bundle.run import OUT
from scripts.commands import Command, ServiceOptions
from scripts.host.remote import Remote
from scripts.runtimes.run_directory import INIT_LOGS, run_dir

REMOTE = "wanwu-bundle"  # in the remote account's home directory
CLUSTER = "wanwu-cluster.toml"  # next to REMOTE, since it is not part of the bundle
NEXT_STEP = "-- to serve: "  # init-server.sh begins its line about the next step with this
AS_ROOT = '$([ "$(id -u)" = 0 ] || echo sudo -n)'
FROM_INPUT = ("--join-file", "-")
Install = Callable[[Remote, Sequence[str], str], None]


@dataclass(frozen=True)
class InitOptions:
    """What to copy where; `models` and `join_file` are flags of init-server.sh: by default the bundle's, and none."""

    hosts: Annotated[str, Flag("one or more user@host, separated by spaces")] = ""
    bundle: Annotated[Path, Flag("the directory that `make bundle` wrote")] = OUT
    models: Annotated[str, Flag("the models on the servers (default: the bundle's)", "SOURCE")] = ""
    join_file: Annotated[str, Flag("names an existing swarm to join, as TOKEN@ADDRESS", "FILE")] = ""
    signers: Annotated[str, Flag("who may have made the bundle: a fingerprint, or a file of allowed signers")] = ""
    gpu: Annotated[str, Flag("none: only CPU slots", choices=("auto", "none"))] = "auto"


def run(service: ServiceOptions, options: InitOptions) -> None:
    """Make every host a member of the service.

    Raise CommandError with a line for each host that failed, after all others are done.
    """
    service.load_cluster()  # raises CommandError before anything is sent
    join = _read_join(options.join_file)
    remotes = _remotes(options, run_dir(service.run_dir).path)
    signer = signing.check(options.bundle.absolute(), options.signers)
    faults: dict[str, str] = {}
    _run_parallel(remotes, lambda remote: _copy_bundle(remote, options.bundle.absolute()), faults)
    ready = [remote for remote in remotes if remote.host not in faults]
    install = partial(_install, options=options, signer=signer, cluster=service.cluster)
    if options.join_file:
        _run_parallel(ready, lambda remote: install(remote, FROM_INPUT, join), faults)
        step("the token has been used: on the manager, `docker swarm join-token --rotate worker` replaces it")
    elif len(remotes) == 1:
        _run_parallel(ready, lambda remote: install(remote, (), ""), faults)
    else:
        _install_swarm(remotes[0], ready, install, faults)
    if faults:
        raise CommandError(*(faults[remote.host] for remote in remotes if remote.host in faults))


def _read_join(file: str) -> str:
    """Return what the file says of the swarm to join, which init-server.sh judges; "" without a file."""
    try:
        return Path(file).read_text(encoding="utf-8") if file else ""
    except (OSError, UnicodeError):
        # Without the file's name, which may be a token by mistake.
        raise CommandError("JOIN: found no such file that can be read, needed one that says TOKEN@ADDRESS") from None


def _remotes(options: InitOptions, run: Path) -> list[Remote]:
    hosts, bundle = options.hosts.split(), options.bundle.absolute()
    if not hosts:
        raise CommandError('HOSTS: found none, needed at least one server: make init HOSTS="root@a root@b"')
    if repeated := sorted({host for host in hosts if hosts.count(host) > 1}):
        raise CommandError(f"HOSTS: found {repeated[0]} twice, needed each server once")
    if invalid := [host for host in hosts if host.startswith("-") or "/" in host]:
        raise CommandError(f"HOSTS: found {invalid[0]}, needed the form user@host")
    if not (bundle / SUMS).is_file():
        raise CommandError(
            f"{bundle}: found no {SUMS}, needed a bundle: run `make bundle`, or set its directory with BUNDLE="
        )
    logs = run / INIT_LOGS
    logs.mkdir(parents=True, exist_ok=True)
    remotes = [Remote(host, logs / f"{host.rpartition('@')[2]}.log") for host in hosts]
    for remote in remotes:
        remote.log.unlink(missing_ok=True)
        remote.log.touch(0o600)  # what a server says of itself is for its operator alone
    return remotes


def _install_swarm(first: Remote, ready: Sequence[Remote], install: Install, faults: dict[str, str]) -> None:
    """Install the first host, then all others in parallel once it has a swarm, and replace the token they used."""
    join: list[str] = []

    def install_first(remote: Remote) -> None:
        install(remote, ("--first",), "")
        token = remote.run(f"{AS_ROOT} docker swarm join-token --quiet worker").strip()
        address = remote.run(f"{AS_ROOT} docker info --format '{{{{.Swarm.NodeAddr}}}}'").strip()
        join.append(f"{token}@{address}")

    def replace_token(remote: Remote) -> None:
        remote.run(f"{AS_ROOT} docker swarm join-token --rotate --quiet worker >/dev/null")

    others = [remote for remote in ready if remote != first]
    if first in ready:
        _run_parallel([first], install_first, faults)
    if join:
        _run_parallel(others, lambda remote: install(remote, FROM_INPUT, join[0]), faults)
        _run_parallel([first], replace_token, faults)
    else:
        reason = f"not started, because {first.host} has no swarm to join"
        faults |= {other.host: f"{other.host}: {reason}" for other in others}


def _run_parallel(remotes: Sequence[Remote], work: Callable[[Remote], None], faults: dict[str, str]) -> None:
    """Call `work` on all `remotes` in parallel; store the first line of each CommandError in `faults` by host."""

    def attempt(remote: Remote) -> None:
        try:
            work(remote)
        except CommandError as error:
            faults[remote.host] = error.lines[0]

    with ThreadPoolExecutor(max(1, len(remotes))) as pool:
        list(pool.map(attempt, remotes))


def _copy_bundle(remote: Remote, bundle: Path) -> None:
    """Copy the missing files of the bundle, and verify all of them."""
    sums = read_sums(bundle)
    remote.run(f"mkdir -p {REMOTE} && cat >{REMOTE}/{SUMS}.new", (bundle / SUMS).read_bytes())
    missing = _missing(remote)
    if absent := [name for name in missing if not (bundle / name).is_file()]:
        raise CommandError(
            f"{remote.host}: found {len(absent)} files neither there nor in {bundle}, which extends an older bundle "
            f"({absent[0]}), needed that one there: run this with it first, or `make bundle` without BASE="
        )
    total = sum((bundle / name).stat().st_size for name in missing)
    step(f"{remote.host}: {len(missing)} of {len(sums)} files to copy, {total / 1e6:.1f} MB")
    _send(remote, bundle, missing, _begun(remote, bundle))
    if damaged := _missing(remote):  # what an interrupted transfer has left may be the beginning of another file
        _send(remote, bundle, damaged, frozenset())
    if damaged := _missing(remote) if damaged else []:
        raise CommandError(
            f"{remote.host}: found {damaged[0]} damaged after copying, needed an exact copy: "
            "check the bundle here with `make bundle-verify`, and the disk there"
        )
    remote.run(f"mv {REMOTE}/{SUMS}.new {REMOTE}/{SUMS}")
    remote.put({path: f"{REMOTE}/{path.name}" for path in bundle.glob(f"{SUMS}.*")})


def _send(remote: Remote, bundle: Path, names: Sequence[str], begun: frozenset[str]) -> None:
    """Send the files; of those in `begun`, only the rest."""
    folders = sorted({f"{REMOTE}/{name}".rpartition("/")[0] for name in names})
    if folders:
        remote.run("xargs -0 mkdir -p", "\0".join(folders).encode())
        # Never into a file of before: workers have mapped those of their models, and kept wheels may be the same files.
        replaced = [name for name in names if name not in begun]
        remote.run(f"cd {REMOTE} && xargs -0 rm -f --", "\0".join(replaced).encode())
        resumed = frozenset(f"{REMOTE}/{name}" for name in begun)
        remote.put({bundle / name: f"{REMOTE}/{name}" for name in names}, resumed)


def _begun(remote: Remote, bundle: Path) -> frozenset[str]:
    """Return the files of which the host has less than the bundle."""
    listed = remote.run(f"find {REMOTE} -type f -printf '%s %P\\0'").split("\0")
    sizes = {name: int(size) for size, _, name in (entry.partition(" ") for entry in listed if entry)}
    present = ((bundle / name, name, size) for name, size in sizes.items())
    return frozenset(name for path, name, size in present if path.is_file() and 0 < size < path.stat().st_size)


def _missing(remote: Remote) -> list[str]:
    output = remote.run(f"cd {REMOTE} && LC_ALL=C sha256sum --check {SUMS}.new 2>/dev/null | sed -n 's/: FAILED.*//p'")
    return [_read_name(line) for line in output.splitlines()]


def _read_name(line: str) -> str:
    """Return the file name in a line of sha256sum, which escapes backslashes and marks it by a leading one."""
    return line[1:].replace("\\\\", "\\") if line.startswith("\\") else line


def _install(remote: Remote, swarm: Sequence[str], join: str, options: InitOptions, signer: str, cluster: Path) -> None:
    """Run init-server.sh on the host with the local cluster.toml, and print its result lines; `join` is its input."""
    models = shlex.quote(options.models) if options.models else '"$PWD/models"'
    arguments = shlex.join(["--gpu", options.gpu, "--signers", signer, *swarm])
    remote.run(f"cat >{CLUSTER}", cluster.read_bytes())
    paths = f'--bundle "$PWD" --models {models} --cluster ../{CLUSTER}'
    script = f"cd {REMOTE} && {AS_ROOT} bash init-server.sh {paths} {arguments} 2>&1"
    step(f"{remote.host}: running init-server.sh")
    fault = result = next_step = age = last = ""
    command = remote.command(script)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ssh:
        if ssh.stdin:
            with suppress(BrokenPipeError), ssh.stdin as pipe:  # the exit status tells of a script that ended early
                pipe.write(join.encode())
        for line in ssh.stdout or ():
            remote.append_log(line)
            last = line.decode(errors="replace").strip()
            fault = fault or (last if last.startswith("!! ") else "")
            next_step = last.removeprefix("-- ") if last.startswith(NEXT_STEP) else next_step
            age = last.removeprefix("-- ") if last.startswith(f"-- {OLDER}") else age
            result = last.removeprefix("-- ") if "nothing changed" in last or "changes made" in last else result
    if ssh.returncode:
        raise remote.command_error(ssh.returncode, fault or last)
    for message in filter(None, (age, result, next_step)):
        step(f"{remote.host}: {message}")


COMMAND = Command("set up bare servers as members, over SSH", InitOptions, run)
