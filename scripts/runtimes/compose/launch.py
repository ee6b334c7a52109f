"""Start the containers that a run directory lacks, and let the gateway's account read what it needs there."""

from collections.abc import Callable

from scripts.base.console import step
from scripts.host import docker, selinux
from scripts.host.certificates import SERVED
from scripts.runtimes.compose import shares
from scripts.runtimes.compose.containers import containers, run_compose, watch
from scripts.runtimes.compose.files import MEMBERS
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.side_by_side import State
from scripts.runtimes.waiting import gateway_of, wait_in_rotation


def start(run: RunDir, state: State, write_secrets: Callable[[], object]) -> None:
    """Start what is missing of `state`, and wait until every worker is in rotation."""
    run.write(state.files)
    write_secrets()
    step("starting workers and the gateway")
    run_compose(run, "up", "--detach", "--remove-orphans")
    wait_in_rotation(gateway_of(state.cluster), state.members, watch(run, [*state.members]))
    shares.serve(run)


def revive(run: RunDir) -> None:
    """Start the containers that somebody stopped."""
    if stopped := [one.id for one in containers(run) if one.state in ("created", "exited")]:
        step("starting what was stopped")
        docker.run(["start", *stopped])


def open_to_gateway(run: RunDir) -> None:
    """Let the gateway, under an account of its own, read what the umask here may lock out."""
    (run.path / MEMBERS).parent.chmod(0o755)
    pem = run.path / SERVED
    if pem.exists():
        # Of this machine's accounts, only that of this service gets past the folder above.
        pem.parent.parent.chmod(0o700)
        pem.parent.chmod(0o755)
        pem.chmod(0o444)
    selinux.label(run.path)
