"""Each row of `make chaos`, in short, on one service."""

from collections.abc import Iterator

import pytest

from tests.chaos.place import Place, running
from tests.chaos.rows import ROWS
from tests.service import LONGEST_DEADLINE

RATE = 4.0  # requests a second: each is a dozen processes' waking up
SEED = 231  # draws the two cheapest


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("chaos"), RATE, SEED, f"[limits]\n{LONGEST_DEADLINE}") as place:
        yield place


@pytest.mark.parametrize("name", ROWS)
def test_clients_notice_no_more_than_is_promised(place: Place, name: str) -> None:
    row, times = ROWS[name]
    outcome = row(place, times)
    assert outcome.sent
    assert not outcome.fault
    # How many requests meet an ejection depends on the machine's pace; `make chaos` has the bound.
    if name == "hole-500" or name == "hole-length":
        assert len(outcome.sent) - outcome.lost.total() > outcome.lost.total()
    else:
        assert outcome.kept, (outcome.lost, outcome.figures, outcome.beyond(outcome.bounds))
