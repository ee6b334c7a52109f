"""A swarm that survives its first server: three managers, the leader lost under load, a new server in its place."""

import json
import time

from tests.cluster.conftest import CPUS, PORT, Swarm
from tests.cluster.load import open_load
from tests.cluster.test_swarm import RATE, judge, report, wait_out, worker_addresses
from tests.wait import until

EVERY_MASK = """
import json, os
found = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{pid}/cmdline") as file:
        if "gunicorn" in file.read():
            found[pid] = sorted(os.sched_getaffinity(int(pid)))
print(json.dumps(found))
"""


def managers(swarm: Swarm, of: str) -> dict[str, str]:
    """Return the managers' host names and what a server says of each: Leader, Reachable or Unreachable."""
    shown = swarm.servers[of].docker("node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}")
    return {name: status for name, _, status in (line.partition(" ") for line in shown.splitlines()) if status}


def states(swarm: Swarm, of: str) -> dict[str, str]:
    """Return what a manager says of each server: Ready or Down; nothing while none leads."""
    shown = swarm.servers[of].asked("node", "ls", "--format", "{{.Hostname}} {{.Status}}").stdout
    return dict(line.split(" ", 1) for line in shown.splitlines())


def test_the_leader_dies_under_load_and_a_new_server_takes_its_place_and_leaves_again(whole: Swarm) -> None:
    until("there are three", lambda: sorted(managers(whole, "b").values()) == ["Leader", "Reachable", "Reachable"])
    # It is a, unless a busy machine has had them elect another one.
    [first] = [name for name, status in managers(whole, "b").items() if status == "Leader"]
    own, other = sorted({*"abc"} - {first})
    remaining = f"{own}{other}d"
    try:
        with open_load(whole.servers[own].address, PORT, whole.image, RATE) as load:
            addresses, began = worker_addresses(whole, first), time.monotonic()
            whole.servers[first].kill()
            out = wait_out(whole, first, load, began, of=own)
            whole.leader = own
            # A new leader calls a server ready once it has heard of it.
            until("another one leads", lambda: states(whole, own) == {first: "Down", own: "Ready", other: "Ready"})
            whole.made("drain", f"SERVER={first}")
            assert managers(whole, own) == {own: "Leader"}
            whole.join("d")
            whole.write(remaining)
            whole.made("up")
            until("all are in rotation", lambda: whole.slots_in("d") == whole.slots(remaining))
            masks_are_those_of_the_slots(whole, "d")
        assert sorted(managers(whole, "d")) == sorted(remaining)
        report("leader killed and replaced", load, began, out)
        judge(whole, load, addresses, out, of=own)

        back = whole.servers[first]
        back.start()
        until("it is a worker", lambda: "false" in back.docker("info", "-f", "{{.Swarm.ControlAvailable}}"))
        with open_load(whole.servers[own].address, PORT, whole.image, RATE) as load:
            staying = [whole.servers[name].containers("wanwu_photos") for name in (own, other)]
            said = whole.made("drain", "SERVER=d")
            assert not whole.servers["d"].docker("ps", "--quiet").split()
            whole.write("abc")
            whole.made("up")
            assert [whole.servers[name].containers("wanwu_photos") for name in (own, other)] == staying
        assert not load.lost
        assert f"d no longer serves and can be removed: remove its table from {whole.source} and run `make up`" in said
        until("it manages again", lambda: managers(whole, first).keys() == {*"abc"})
        whole.leave("d")
    finally:
        whole.leader = "a"


def masks_are_those_of_the_slots(swarm: Swarm, name: str) -> None:
    """Every slot of the server has a worker that keeps to its CPUs."""
    server, seen = swarm.servers[name], {}
    for container in server.containers("wanwu_photos"):
        environ = server.inspect(container)[0]["Config"]["Env"]
        [slot] = [value for key, value in (pair.split("=", 1) for pair in environ) if key == "DOCKER_RESOURCE_SLOT"]
        masks = json.loads(server.docker("exec", container, "python3", "-c", EVERY_MASK))
        # tini, gunicorn's master and its worker; the first passes its mask to nobody.
        seen[slot] = {tuple(mask) for mask in masks.values()} - {tuple(CPUS)}
    assert seen == {slot: {(int(cpus),)} for slot, cpus in server.slots.items()}
