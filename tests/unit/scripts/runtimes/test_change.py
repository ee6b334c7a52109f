"""Plans of changes: which workers start and stop, in which steps. Changes themselves are tested on real services."""

import json

import pytest

from scripts.runtimes.change import Member, Step, plan_steps, pool_order, read_members, render_members, uncovered_models

OLD, NEW = "old text", "new text"


def members(*names: str, text: str = OLD, port: int = 8081) -> dict[str, Member]:
    """Workers such as `photos-2`, on slots in their order."""
    return {
        name: Member(name, "this", f"this-cpu{slot}", f"127.0.0.1:{port + slot}", name.rpartition("-")[0], text)
        for slot, name in enumerate(names)
    }


def renewed(*names: str) -> dict[str, Member]:
    return members(*names, text=NEW, port=8091)


def test_nothing_to_do_needs_no_step() -> None:
    assert plan_steps(members("a-0", "a-1"), members("a-0", "a-1"), room=2) == []


def test_with_room_for_all_the_old_ones_stop_once_all_new_ones_serve() -> None:
    before, after = members("a-0", "a-1"), renewed("a-2", "a-3")
    assert plan_steps(before, after, room=2) == [Step(("a-2", "a-3"), ("a-0", "a-1"))]


def test_with_room_for_one_each_old_one_makes_room_for_the_next_new_one() -> None:
    steps = plan_steps(members("a-0", "a-1"), renewed("a-2", "a-3"), room=1)
    assert steps == [Step(("a-2",), ("a-0",)), Step(("a-3",), ("a-1",))]
    assert uncovered_models(members("a-0", "a-1"), renewed("a-2", "a-3"), steps) == []


def test_without_room_each_old_one_stops_first() -> None:
    before, after = members("a-0", "a-1"), renewed("a-2", "a-3")
    steps = plan_steps(before, after, room=0)
    assert steps == [Step(("a-2",), ("a-0",), beside=False), Step(("a-3",), ("a-1",), beside=False)]
    assert uncovered_models(before, after, steps) == []


@pytest.mark.parametrize("after", [renewed("a-0", "a-1"), members("a-2", "a-3", text=NEW)], ids=["name", "address"])
def test_what_has_the_name_or_the_address_of_an_old_one_replaces_that_one(after: dict[str, Member]) -> None:
    steps = plan_steps(members("a-0", "a-1"), after, room=9)
    assert [(step.stopping, step.beside) for step in steps] == [(("a-0",), False), (("a-1",), False)]
    assert [step.starting for step in steps] == [(name,) for name in after]


def test_workers_that_stay_are_in_no_step() -> None:
    before = members("a-0", "b-0")
    after = {"a-0": before["a-0"], "b-1": renewed("x-0", "b-1")["b-1"]}
    assert plan_steps(before, after, room=1) == [Step(("b-1",), ("b-0",))]


def test_a_worker_makes_room_for_its_like_and_the_rest_stop_last() -> None:
    before = members("a-0", "b-0", "c-0")
    after = renewed("b-1", "a-1")
    assert plan_steps(before, after, room=1) == [Step(("b-1",), ("b-0",)), Step(("a-1",), ("a-0", "c-0"))]
    assert plan_steps(before, members("a-0", "b-0"), room=0) == [Step((), ("c-0",))]


def test_without_room_the_only_worker_of_a_model_leaves_a_gap() -> None:
    before, after = members("a-0", "b-0"), renewed("a-1", "b-1")
    assert uncovered_models(before, after, plan_steps(before, after, room=1)) == []
    assert uncovered_models(before, after, plan_steps(before, after, room=0)) == ["a", "b"]
    assert uncovered_models(members("a-0"), renewed("b-0"), plan_steps(members("a-0"), renewed("b-0"), room=0)) == [
        "a",
        "b",
    ]


def test_a_worker_out_of_rotation_fills_no_gap() -> None:
    before, after = members("a-0", "a-1"), renewed("a-2", "a-3")
    in_rotation = {"a-0": before["a-0"]}
    assert uncovered_models(in_rotation, after, plan_steps(before, after, room=0)) == ["a"]


def test_the_old_first_model_stays_first_while_it_has_workers() -> None:
    before, after = members("a-0", "b-0"), members("c-0", "b-0")
    assert pool_order(before, after, {**before, **after})[0] == "a"
    assert pool_order(before, after, after)[0] == "c"


def test_a_list_of_members_is_read_as_it_was_written() -> None:
    listed = members("a-0", "a-1", "b-0")
    options = json.dumps({"schema": 1, "gateway": {"max_body_mb": 3}})
    text = render_members(options, ["b", "a", "gone"], listed)
    assert [pool["model"] for pool in json.loads(text)["pools"]] == ["b", "a"]
    assert (json.loads(text)["schema"], json.loads(text)["gateway"]) == (1, {"max_body_mb": 3})
    assert read_members(text, dict.fromkeys(listed, OLD)) == listed


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pools": [{"members": [{"worker": "a-0"}]}]}'])
def test_a_list_that_cannot_be_read_has_no_members(text: str) -> None:
    assert read_members(text, {}) == {}
