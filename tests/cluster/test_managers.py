"""A swarm that survives its first server: three managers, the leader lost under load, a new server in its place."""

import time

from tests.cluster.conftest import Swarm
from tests.cluster.load import open_load
from tests.cluster.test_swarm import RATE, judge, report, wait_out, worker_addresses
from tests.wait import until


def managers(swarm: Swarm, of: str) -> dict[str, str]:
    """Return the managers' host names and what a server says of each: Leader, Reachable or Unreachable."""
    shown = swarm.servers[of].docker("node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}")
    return {name: status for name, _, status in (line.partition(" ") for line in shown.splitlines()) if status}


def states(swarm: Swarm, of: str) -> dict[str, str]:
    """Return what a manager says of each server: Ready or Down; nothing while none leads."""
    shown = swarm.servers[of].asked("node", "ls", "--format", "{{.Hostname}} {{.Status}}").stdout
    return dict(line.split(" ", 1) for line in shown.splitlines())


def test_the_leader_dies_under_load_and_a_new_server_takes_its_place(whole: Swarm) -> None:
    assert managers(whole, "b") == {"a": "Leader", "b": "Reachable", "c": "Reachable"}
    try:
        with open_load(whole.servers["b"].address, 8080, whole.image, RATE) as load:
            addresses, began = worker_addresses(whole, "a"), time.monotonic()
            whole.servers["a"].kill()
            out = wait_out(whole, "a", load, began, of="b")
            whole.leader = "b"
            # A new leader calls a server ready once it has heard of it.
            until("another one leads", lambda: states(whole, "b") == {"a": "Down", "b": "Ready", "c": "Ready"})
            whole.made("drain", "SERVER=a")
            assert managers(whole, "b") == {"b": "Leader"}
            whole.join("d")
            whole.write("bcd")
            whole.made("up")
            until("all are in rotation", lambda: whole.slots_in("d") == whole.slots("bcd"))
        assert sorted(managers(whole, "d")) == ["b", "c", "d"]
        report("leader killed and replaced", load, began, out)
        judge(whole, load, addresses, out, of="b")

        whole.servers["a"].start()
        until(
            "it is a worker", lambda: "false" in whole.servers["a"].docker("info", "-f", "{{.Swarm.ControlAvailable}}")
        )
        whole.made("drain", "SERVER=d")
        whole.write("abc")
        whole.made("up")
        until("it manages again", lambda: managers(whole, "a").keys() == {*"abc"})
        whole.leave("d")
    finally:
        whole.leader = "a"
