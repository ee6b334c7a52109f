"""Three servers under Docker Swarm: what `make up` brings, and what a client sees while servers and workers go."""

import re
import time
from collections import Counter

import requests

from tests.cluster.conftest import NEWER, PORT, QUEUE, Swarm
from tests.cluster.load import LATE, PNG, OpenLoad, open_load
from tests.wait import until

RATE = 3  # requests a second: what two cores easily answer while workers start on them


def test_every_gateway_sends_to_every_worker_and_status_shows_all(whole: Swarm) -> None:
    lines = whole.made("status").splitlines()
    assert {line.split()[1] for line in lines[1 : 1 + len(whole.slots())]} == whole.slots()
    print("\n".join(lines))


def test_a_change_and_a_newer_kit_reach_all_one_by_one_and_are_taken_back_and_nothing_is_lost(whole: Swarm) -> None:
    """For clients that know every server: while a server's gateway is replaced, its port refuses connections."""
    whole.make_newer_kit()
    first, *others = (whole.servers[name].address for name in "abc")
    with open_load(first, PORT, whole.image, RATE, others=others) as load:
        images = images_of(whole)
        whole.write("abc", queue=QUEUE - 1)
        whole.made("up", kit=NEWER)
        assert settings_of(whole, "WANWU_QUEUE") == {str(QUEUE - 1)}
        newer = images_of(whole)
        assert (len(newer), newer & images) == (len(images), set())
        whole.made("rollback")
        assert settings_of(whole, "WANWU_QUEUE") == {str(QUEUE)}
        whole.write("abc")
        whole.made("up")
        assert images_of(whole) == images
    assert not load.lost
    print(f"\nevery worker and gateway replaced twice: sent {len(load.sent)}, lost {len(load.lost)}")


def test_a_rollout_replaces_every_worker_and_nothing_is_lost_and_the_logs_tell_of_all(whole: Swarm) -> None:
    before = containers(whole)
    with open_load(whole.manager.address, PORT, whole.image, RATE) as load:
        whole.made("rollout")
    assert not load.lost
    after = containers(whole)
    assert len(after) == len(before) == len(whole.slots())
    assert not after & before
    whole.made("up")
    assert containers(whole) == after  # nothing was different
    lines = whole.made("logs").splitlines()
    assert {match[1] for line in lines if (match := re.match(r"(wanwu_[a-z]+)\.\d+\.", line))} == {
        "wanwu_photos", "wanwu_gateway"
    }  # fmt: skip


def test_a_failing_update_goes_back_and_nothing_is_lost(whole: Swarm) -> None:
    whole.write("abc", folder="broken")
    with open_load(whole.manager.address, PORT, whole.image, RATE) as load:
        done = whole.make("up")
    assert not load.lost
    assert done.returncode != 0
    [first, *more] = [line.removeprefix("!! ") for line in done.stderr.splitlines() if line.startswith("!! ")]
    assert first == (
        "wanwu_photos: the update failed and was abandoned (rollback_completed): "
        "the previous version is still being served"
    )
    assert "task: non-zero exit (3)" in more[0]
    assert settings_of(whole, "WANWU_MODEL_DIR") == {"/models/photos"}
    whole.mend()


def test_a_gateway_that_ends_costs_the_clients_of_another_nothing(whole: Swarm) -> None:
    other = whole.servers["b"]
    with open_load(whole.manager.address, PORT, whole.image, RATE) as load:
        [gateway] = other.containers("wanwu_gateway")
        other.docker("kill", gateway)
        until("another one stands there", lambda: other.containers("wanwu_gateway") not in ([], [gateway]))
        until("it sends to every worker", lambda: whole.answers("b") and whole.slots_in("b") == whole.slots_in("a"))
    assert not load.lost


def test_a_server_that_is_cut_off_costs_only_what_was_on_its_way_to_it(whole: Swarm) -> None:
    with open_load(whole.manager.address, PORT, whole.image, RATE) as load:
        addresses, began = worker_addresses(whole, "b"), time.monotonic()
        whole.servers["b"].cut_off()
        out = wait_out(whole, "b", load, began)
    report("cut off", load, began, out)
    judge(whole, load, addresses, out)
    whole.mend()


def test_make_up_replaces_a_task_that_swarm_does_not_place_any_more(whole: Swarm) -> None:
    whole.manager.docker("node", "update", "--availability", "drain", "b")
    until("one waits for a slot", lambda: waiting_tasks(whole))
    whole.manager.docker("service", "scale", "--detach", f"wanwu_photos={len(whole.slots())}")
    whole.manager.docker("node", "update", "--availability", "drain", "b")  # has Swarm look for a slot once more
    [forgotten] = waiting_tasks(whole)
    whole.made("up")
    assert not waiting_tasks(whole)
    tasks = whole.manager.docker(
        "service", "ps", "--quiet", "--no-trunc", "--filter", "desired-state=running", "wanwu_photos"
    )
    assert len(set(tasks.split()) - {forgotten}) == len(whole.slots())


def test_a_server_without_power_costs_only_what_was_on_its_way_to_it_and_waits_for_the_key_of_a_locked_swarm(
    whole: Swarm,
) -> None:
    lost = whole.servers["c"]
    whole.write("abc", tables="[swarm]\nautolock = true\n")
    [key] = re.findall(r"SWMKEY-1-\S+", whole.made("up"))
    until("c keeps nothing in the clear", lambda: "ENCRYPTED" in lost.node_key.read_text())
    whole.write("abc")
    with open_load(whole.manager.address, PORT, whole.image, RATE) as load:
        addresses, began = worker_addresses(whole, "c"), time.monotonic()
        lost.kill()
        out = wait_out(whole, "c", load, began)
    report("killed", load, began, out)
    judge(whole, load, addresses, out)
    lost.start()
    assert lost.swarm_state() == "locked"
    assert lost.asked("swarm", "unlock", given=f"{key}\n").returncode == 0
    whole.manager.docker("swarm", "update", "--autolock=false")
    until("all managers know", lambda: "ENCRYPTED" not in lost.node_key.read_text())
    whole.mend()


def test_two_models_are_served_side_by_side_under_tls_and_down_leaves_nothing_of_them(whole: Swarm) -> None:
    whole.made("cert")
    whole.write("abc", models=("photos", "other"), tables="[tls]\nenabled = true\n")
    whole.made("up")
    service, image = f"https://{whole.servers['b'].address}:{PORT}", whole.image.read_bytes()
    with requests.Session() as client:
        client.verify, client.trust_env = str(whole.home / "tls/ca.crt"), False
        for name in ("photos", "other"):
            answer = client.post(f"{service}/predict?model={name}", image, headers=PNG, timeout=60)
            assert (answer.status_code, answer.json()["model"]) == (200, name)
        workers = client.get(f"{service}/status", timeout=60).json()["workers"]
    assert Counter(worker["model"] for worker in workers) == {"photos": 2, "other": 1}
    assert "wanwu-tls-" in whole.manager.docker("secret", "ls", "--format", "{{.Name}}")
    whole.made("down")
    assert not any(whole.servers[name].docker("ps", "--quiet").split() for name in "abc")
    assert whole.manager.docker("service", "ls", "--quiet") == ""
    assert whole.manager.docker("config", "ls", "--quiet") == whole.manager.docker("secret", "ls", "--quiet") == ""


def images_of(swarm: Swarm) -> set[str]:
    """The images of all that runs on a, b and c."""
    return {image for name in "abc" for image in swarm.servers[name].docker("ps", "--format", "{{.Image}}").split()}


def containers(swarm: Swarm) -> set[str]:
    """The containers of all workers of a, b and c."""
    return {container for name in "abc" for container in swarm.servers[name].containers("wanwu_photos")}


def waiting_tasks(swarm: Swarm) -> list[str]:
    """The ids of the tasks that have no slot."""
    shown = ["--no-trunc", "--filter", "desired-state=running", "--format", "{{.ID}} {{.CurrentState}}"]
    lines = swarm.manager.docker("service", "ps", *shown, "wanwu_photos").splitlines()
    return [line.split()[0] for line in lines if "Pending" in line]


def settings_of(swarm: Swarm, name: str) -> set[str]:
    """The values that the workers of a, b and c have been given."""
    return {
        pair.split("=", 1)[1]
        for server in (swarm.servers[name] for name in "abc")
        for container in server.inspect(*server.containers("wanwu_photos"))
        for pair in container["Config"]["Env"]
        if pair.startswith(f"{name}=")
    }


def worker_addresses(swarm: Swarm, name: str) -> set[str]:
    """Where the gateways reach a server's workers."""
    server = swarm.servers[name]
    found = server.inspect(*server.containers("wanwu_photos"))
    return {f"{container['NetworkSettings']['Networks']['wanwu_workers']['IPAddress']}:8000" for container in found}


def wait_out(swarm: Swarm, name: str, load: OpenLoad, began: float, of: str = "a") -> float:
    """When the gateway `of` a server sent nothing more to server `name`, by the clock of `load`, which goes on."""
    gone = set(swarm.servers[name].slots)
    until("its workers are out of rotation", lambda: not gone & swarm.slots_in(of))
    # Nginx's processes of before the reload take no new connections any more.
    sent = len(load.sent)
    until("requests went on", lambda: len(load.sent) >= sent + RATE)
    out = time.monotonic()
    sent = len(load.sent)
    until("more requests went on", lambda: len(load.sent) >= sent + 5 * RATE)
    return out


def report(what: str, load: OpenLoad, began: float, out: float) -> None:
    slowest = max(one.ended - one.left for one in load.sent)
    lost = Counter(one.outcome for one in load.lost)
    late = sum(one.outcome == LATE for one in load.sent)
    print(
        f"\n{what}: out of rotation after {out - began:.1f} s (one of them to be sure); sent {len(load.sent)}, "
        f"lost {len(load.lost)} {dict(lost)}, late {late}; the slowest took {slowest:.1f} s"
    )


def judge(swarm: Swarm, load: OpenLoad, addresses: set[str], out: float, of: str = "a") -> None:
    """Whatever the gateway `of` a server lost had been sent to the lost server, before that was out of rotation."""
    upstreams: dict[str, set[str]] = {}

    def are_logged() -> bool:
        """Nginx logs a request once it has answered, into a file from which the container's log is copied."""
        upstreams.update(logged_upstreams(swarm, of))
        return upstreams.keys() >= {one.id for one in load.lost}

    assert [one for one in load.sent if one.left > out and one.outcome == "200"]
    until("every lost request is in the log", are_logged)
    for one in load.lost:
        assert one.left <= out, one
        assert upstreams[one.id] & addresses, (one, upstreams[one.id])


def logged_upstreams(swarm: Swarm, name: str) -> dict[str, set[str]]:
    """Return the addresses that the gateway of a server sent each request to, by the request's id."""
    found = {}
    for container in swarm.servers[name].containers("wanwu_gateway"):
        # Nginx and the gate write to one output, so that two of their lines may meet.
        log = swarm.servers[name].asked("logs", container).stdout
        for request_id, upstream in re.findall(r'"request_id": "([^"]+)".*?"upstream": "([^"]*)"', log):
            found[request_id] = set(upstream.replace(",", " ").split())
    return found
