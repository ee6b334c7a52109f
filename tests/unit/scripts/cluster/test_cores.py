"""Tests of the choice of cores for each worker from measurements."""

import pytest

from scripts.cluster.cores import LATENCY, THROUGHPUT, best, reason
from worker.contract.engine import Scaling

ROWS = (Scaling("m", 1, 400.0, 5.0), Scaling("m", 2, 390.0, 3.0), Scaling("m", 4, 300.0, 2.95))


def scaled(*rows: tuple[int, float, float]) -> tuple[int, tuple[Scaling, ...]]:
    return 1, tuple(Scaling("m", *row) for row in rows)


@pytest.mark.parametrize(
    ("profile", "models", "wanted"),
    [
        (THROUGHPUT, [(1, ROWS)], 1),
        (LATENCY, [(1, ROWS)], 2),  # 4 cores are faster by less than NOISE
        (THROUGHPUT, [scaled((1, 390, 5), (2, 400, 3))], 1),
        (THROUGHPUT, [scaled((1, 380, 5), (2, 400, 3))], 2),
        (THROUGHPUT, [], None),
        (THROUGHPUT, [(1, ROWS), (1, ())], None),
        (THROUGHPUT, [scaled((1, 9, 9)), scaled((2, 9, 9))], None),
        (THROUGHPUT, [scaled((1, 9, 9), (2, 8, 9)), scaled((2, 9, 9))], 2),
    ],
)
def test_the_best_number_of_cores_is_that_of_the_profile(
    profile: str, models: list[tuple[int, tuple[Scaling, ...]]], wanted: int | None
) -> None:
    assert best(profile, models) == wanted


@pytest.mark.parametrize(("shares", "wanted"), [((1, 1), 2), ((9, 1), 1)])
def test_models_weigh_as_much_as_their_shares(shares: tuple[int, int], wanted: int) -> None:
    one, other = scaled((1, 100, 9), (2, 90, 9))[1], scaled((1, 5, 9), (2, 10, 9))[1]
    assert best(THROUGHPUT, [(shares[0], one), (shares[1], other)]) == wanted


def test_the_reason_is_told() -> None:
    assert reason(THROUGHPUT, 1) == "1 core a worker, measured best for throughput"
    assert reason(LATENCY, 4) == "4 cores a worker, measured best for latency"
    assert reason(LATENCY, None) == ("not all models were measured on this kind of machine: `make model-prepare` does")
