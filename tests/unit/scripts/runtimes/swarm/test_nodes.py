"""What the swarm's managers say."""

import pytest

from scripts.base.errors import CommandError
from scripts.runtimes.swarm.nodes import once_decided


@pytest.mark.parametrize(
    "said",
    [
        "Error response from daemon: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        "Error response from daemon: rpc error: code = Unknown desc = The swarm does not have a leader. It's possible "
        "that too few managers are online. Make sure more than half of the managers are online.",
    ],
)
def test_managers_that_have_not_decided_are_asked_again(said: str) -> None:
    answers = iter([said, ""])

    def is_ready() -> bool:
        if fault := next(answers):
            raise CommandError("`docker service` failed:", fault)
        return True

    condition = once_decided(is_ready)
    assert not condition()
    assert condition()


def test_what_the_managers_have_refused_stays_a_fault() -> None:
    def refuse() -> bool:
        raise CommandError("`docker node` failed:", "Error response from daemon: This node is not a swarm manager.")

    with pytest.raises(CommandError, match="not a swarm manager"):
        once_decided(refuse)()
