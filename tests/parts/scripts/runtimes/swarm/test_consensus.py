"""What the swarm's managers answer while they cannot decide."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.runtimes.swarm import consensus

Says = Callable[..., Path]

NO_LEADER = "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are"
OUT_OF_SEQUENCE = "rpc error: code = Unknown desc = update out of sequence"
TOO_LATE = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
LOST_LEADER = "rpc error: code = Unknown desc = failed to process the request: node lost leader status"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consensus, "INTERVAL_S", 0.01)


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Put a docker on the path that answers one fault after the other, and then its arguments."""

    def put(*faults: str) -> Path:
        calls = tmp_path / "calls"
        lines = [f'[ $n -ne {n} ] || {{ echo "Error response from daemon: {fault}" >&2; exit 1; }}'
                 for n, fault in enumerate(faults, 1)]  # fmt: skip
        program = tmp_path / "docker"
        program.write_text("\n".join(["#!/bin/sh", f"echo >>{calls}", f"n=$(wc -l <{calls})", *lines, 'echo "$@"']))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return calls

    return put


@pytest.mark.parametrize("fault", [NO_LEADER, OUT_OF_SEQUENCE, TOO_LATE, "context deadline exceeded", LOST_LEADER])
def test_managers_that_have_not_decided_are_asked_again(
    says: Says, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    says(fault, fault)
    assert consensus.run(["node", "demote", "b"]) == "node demote b\n"
    assert capsys.readouterr().out.count(fault) == 1


def test_without_a_decision_the_last_fault_is_raised(says: Says, monkeypatch: pytest.MonkeyPatch) -> None:
    says(NO_LEADER)
    monkeypatch.setattr(consensus, "TIMEOUT_S", 0)
    with pytest.raises(CommandError, match="does not have a leader"):
        consensus.run(["node", "ls"])


def test_what_the_managers_refuse_stays_a_fault(says: Says) -> None:
    calls = says("This node is not a swarm manager.")
    with pytest.raises(CommandError, match="not a swarm manager"):
        consensus.run(["node", "ls"])
    assert calls.read_text() == "\n"


def test_a_command_that_may_be_done_is_not_repeated_if_it_would_do_something_else(says: Says) -> None:
    says(OUT_OF_SEQUENCE, TOO_LATE)
    with pytest.raises(CommandError, match="DeadlineExceeded"):
        consensus.run(["service", "rollback", "a"], repeatable=False)


def test_objects_that_are_gone_are_left_out_and_other_faults_are_raised(says: Says) -> None:
    says(NO_LEADER, "node x not found", "This node is not a swarm manager.")
    assert consensus.inspect("node", ["x"]) == []
    with pytest.raises(CommandError, match="not a swarm manager"):
        consensus.inspect("node", ["x"])
