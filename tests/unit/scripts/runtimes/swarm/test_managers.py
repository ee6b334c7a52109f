"""Which servers manage the swarm, as servers come, go and die."""

import pytest

from scripts.runtimes.swarm.managers import Change, change, count_for
from scripts.runtimes.swarm.nodes import Node


def node(name: str, manager: bool = False, ready: bool = True, active: bool = True) -> Node:
    return Node(name, name, "", ready, active, manager, {}, (f"{name}-cpu0",))


def planned(nodes: list[Node], serving: str, chosen: int | None = None, leaving: str = "") -> tuple[str, str]:
    """Return the names of the nodes to promote and to demote, as asked at `a`."""
    by_name = {one.id: one for one in nodes}
    found: Change = change(nodes, [by_name[name] for name in serving], "a", chosen, leaving)
    return "".join(one.id for one in found.promote), "".join(one.id for one in found.demote)


@pytest.mark.parametrize(
    ("servers", "chosen", "count"),
    [(1, None, 1), (2, None, 1), (3, None, 3), (9, None, 3), (9, 1, 1), (9, 5, 5), (4, 5, 3), (2, 3, 1)],
)
def test_the_number_is_odd_and_three_where_nothing_is_said(servers: int, chosen: int | None, count: int) -> None:
    assert count_for(servers, chosen) == count


def test_the_first_servers_of_the_file_are_promoted_and_a_second_run_changes_nothing() -> None:
    nodes = [node("a", True), node("b"), node("c"), node("d")]
    assert planned(nodes, "abcd") == ("bc", "")
    assert planned(nodes, "ab") == ("", "")
    assert planned([node("a", True), node("b", True), node("c", True), node("d")], "abcd") == ("", "")


def test_a_dead_manager_and_one_that_leaves_are_replaced() -> None:
    dead = [node("a", True), node("b", True, ready=False), node("c", True), node("d")]
    assert planned(dead, "acd") == ("d", "b")
    leaving = [node("a", True), node("b", True, active=False), node("c", True), node("d")]
    assert planned(leaving, "acd", leaving="b") == ("d", "b")


def test_without_a_replacement_one_manager_goes_on() -> None:
    assert planned([node("a", True), node("b", True, ready=False), node("c", True)], "ac") == ("", "bc")


def test_a_manager_without_a_table_stays_even_if_it_is_drained_and_so_does_the_one_that_is_asked() -> None:
    assert planned([node("a", True), node("b"), node("c"), node("m", True, active=False)], "bc") == ("b", "")
    assert planned([node("a", True), node("b", True), node("c", True)], "bc", leaving="a") == ("", "")


def test_fewer_are_demoted_from_the_end_of_the_file() -> None:
    assert planned([node("a", True), node("b", True), node("c", True)], "abc", chosen=1) == ("", "bc")
