"""What keeps a change under Swarm from being complete."""

from dataclasses import replace

from scripts.runtimes.swarm.nodes import Service, Task
from scripts.runtimes.swarm.unsettled import forgotten, unsettled

SPEC = {"ContainerSpec": {"Image": "image:1"}}
PHOTOS = Service("service-1", "wanwu_photos", 2, SPEC, "image:1", "", "", "", "t5")
RUNNING = Task("task-1", "service-1", "node-b", 1, "b-cpu0", "running", "running", "started", SPEC, "t1")
WAITING = Task("task-2", "service-1", "", 2, "", "pending", "running", "no suitable node", SPEC, "t4")


def test_a_task_that_waited_through_an_update_that_left_it_as_it_is_is_forgotten() -> None:
    assert forgotten(PHOTOS, [RUNNING, WAITING]) == ["task-2"]
    spared = [
        replace(WAITING, created="t6"),
        replace(WAITING, spec={}),  # to be replaced by the update
        replace(WAITING, desired_state="remove"),
        replace(WAITING, service="service-2"),
        replace(WAITING, state="assigned", node="node-b"),
    ]
    for task in spared:
        assert forgotten(PHOTOS, [task]) == []


def test_a_task_that_is_one_too_many_is_not_forgotten() -> None:
    second = replace(WAITING, id="task-3")
    assert forgotten(replace(PHOTOS, replicas=1), [RUNNING, WAITING]) == []
    assert forgotten(replace(PHOTOS, replicas=1), [RUNNING, WAITING, second]) == []
    assert forgotten(PHOTOS, [RUNNING, WAITING, second]) == ["task-3"]
    assert forgotten(replace(PHOTOS, replicas=3), [RUNNING, WAITING, second]) == ["task-2", "task-3"]
    assert forgotten(replace(PHOTOS, replicas=None), [WAITING]) == []  # one on every node, whatever is wanted


def test_a_service_is_settled_once_it_runs_as_many_current_tasks_as_expected() -> None:
    second = replace(RUNNING, id="task-2", node="node-c")
    assert unsettled([RUNNING, second], [(PHOTOS, 2)]) == []
    former = replace(RUNNING, desired_state="shutdown")
    assert unsettled([RUNNING, second, former], [(PHOTOS, 2)]) == []
    assert unsettled([RUNNING, WAITING], [(PHOTOS, 2)]) == [
        "wanwu_photos: found 1 of 2 tasks up to date, needed 2",
        "wanwu_photos: pending: no suitable node",
    ]
    assert unsettled([RUNNING, replace(second, spec={})], [(PHOTOS, 2)]) == [
        "wanwu_photos: found 1 of 2 tasks up to date, needed 2"
    ]
    assert unsettled([RUNNING, second], [(PHOTOS, 3)]) == ["wanwu_photos: found 2 of 2 tasks up to date, needed 3"]
    assert unsettled([RUNNING, second], [(replace(PHOTOS, update="updating"), 2)]) == [
        "wanwu_photos (updating): found 2 of 2 tasks up to date, needed 2"
    ]
