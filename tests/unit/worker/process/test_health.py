"""The worker's state, and the watchdog over the engine."""

import pytest

from tests.errors import code_of
from worker.contract.errors import ErrorCode
from worker.process.health import BROKEN, DRAINING, READY, STARTING, Health, shorten_paths, watch


def refuses(health: Health) -> bool:
    return code_of(health.require_answering) is ErrorCode.NOT_READY


def test_a_worker_starts_as_starting_and_does_not_answer() -> None:
    health = Health()
    assert (health.state, health.ready) == (STARTING, False)
    assert refuses(health)


def test_a_ready_worker_answers() -> None:
    health = Health()
    health.become(READY)
    assert health.ready
    health.require_answering()


def test_a_broken_worker_says_why() -> None:
    health = Health()
    health.become(BROKEN, "weights.pth: changed")
    assert (health.state, health.reason, health.ready) == (BROKEN, "weights.pth: changed", False)
    assert refuses(health)


def test_a_draining_worker_is_not_ready_but_answers_if_it_was_ready() -> None:
    health = Health()
    health.become(READY)
    health.become(DRAINING)
    assert not health.ready
    health.require_answering()


def test_a_worker_that_drains_before_it_was_ready_never_answers() -> None:
    health = Health()
    health.become(DRAINING)
    health.become(READY)
    assert health.state == DRAINING
    assert refuses(health)


def test_the_watchdog_gives_up_once_at_the_first_fault() -> None:
    turns, faults = iter([None, None, "broken", "again"]), list[str]()
    watch(lambda: next(turns), 0.001, faults.append).join(30)
    assert (faults, next(turns)) == (["broken"], "again")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/wanwu/models/photos/golden/one.png: answered dog", "golden/one.png: answered dog"),
        ("/my models/a b/model.bin: sha256 is x", "a b/model.bin: sha256 is x"),
        (
            "[Errno 2] No such file or directory: '/srv/a b/photos/model.bin'",
            "[Errno 2] No such file or directory: 'photos/model.bin'",
        ),
        ("OSError: /opt/vendor/lib/x.so: cannot open", "OSError: lib/x.so: cannot open"),
        ("found 1/2 and/or http://a/b/c, needed 3", "found 1/2 and/or http://a/b/c, needed 3"),
    ],
)
def test_a_reason_shows_no_paths_of_the_host(text: str, shown: str) -> None:
    health = Health()
    health.become(BROKEN, text)
    assert health.reason == shorten_paths(text) == shown
