"""Create a swarm, or join one."""

from collections.abc import Iterator

from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.bootstrap import engine_api
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.machine import must, run, swarm_state
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Join, Server

LISTEN = "0.0.0.0:2377"  # Docker's own default
GOES_ON = "will continue in the background"  # Docker's words after 20 seconds, which busy managers may need
JOIN_S, POLL_INTERVAL_S = 300, 2.0


def changes(server: Server) -> Iterator[Change]:
    join = server.join
    if swarm_state() == "active":
        return
    if server.options.first:
        yield Change("create a swarm", lambda: _create(server))
    if join:
        yield Change(f"join the swarm of {join.manager}", lambda: _join(server, join))


def _create(server: Server) -> None:
    server.record.remember("swarm")
    address = ("--advertise-addr", server.options.address) if server.options.address else ()
    fault = "Docker could not create a swarm ({}): if the server has several addresses, choose one with --address"
    must(fault, "docker", "swarm", "init", *address)


def _join(server: Server, join: Join) -> None:
    """Join through the engine's API: Docker's command line takes the token as an argument, which all accounts see."""
    server.record.remember("swarm")
    wanted = {
        "ListenAddr": LISTEN, "AdvertiseAddr": server.options.address,
        "RemoteAddrs": [join.manager], "JoinToken": join.token,
    }  # fmt: skip
    fault = engine_api.post("/swarm/join", wanted)
    if fault and not (GOES_ON in fault and wait_until(lambda: swarm_state() == "active", JOIN_S, POLL_INTERVAL_S)):
        raise CommandError(
            f"the manager at {join.manager} did not accept this server ({fault}): "
            "get a fresh token with `docker swarm join-token worker` there"
        )


def _undo(_: Record, __: str) -> None:
    if swarm_state() not in ("inactive", ""):
        run("docker", "swarm", "leave", "--force")


STEP = Step(changes, {"swarm": _undo})
