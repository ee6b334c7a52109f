"""The rows of `make chaos`, in short, on one service: all but those whose journey under load is a test elsewhere."""

from collections.abc import Iterator

import pytest

from tests.chaos.place import Place, running
from tests.chaos.rows import ROWS

# tests/commands has a swap (test_use.py) and a change of limits (test_changes.py), and both ways back.
ELSEWHERE = ("swap", "change")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("chaos")) as place:
        yield place


@pytest.mark.parametrize("name", [name for name in ROWS if name not in ELSEWHERE])
def test_clients_notice_no_more_than_is_promised(place: Place, name: str) -> None:
    row, times = ROWS[name]
    outcome = row(place, times)
    assert outcome.sent
    # How many requests meet an ejection depends on the machine's pace; `make chaos` has the bound.
    if name == "hole-500" or name == "hole-length":
        assert len(outcome.sent) - outcome.lost.total() > outcome.lost.total()
    else:
        assert outcome.kept, (outcome.lost, outcome.figures)
