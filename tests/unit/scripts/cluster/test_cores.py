"""Tests of the choice of cores for each worker from measurements."""

import pytest

from scripts.cluster.cores import LATENCY, THROUGHPUT, best_cores, explain_cores
from worker.contract.engine import Scaling

ROWS = (Scaling("m", 1, 400.0, 5.0), Scaling("m", 2, 390.0, 3.0), Scaling("m", 4, 300.0, 2.95))


def measurements(*rows: tuple[int, float, float]) -> tuple[int, tuple[Scaling, ...]]:
    return 1, tuple(Scaling("m", *row) for row in rows)


@pytest.mark.parametrize(
    ("profile", "models", "expected"),
    [
        (THROUGHPUT, [(1, ROWS)], 1),
        (LATENCY, [(1, ROWS)], 2),  # 4 cores are faster by less than NOISE
        (THROUGHPUT, [measurements((1, 390, 5), (2, 400, 3))], 1),
        (THROUGHPUT, [measurements((1, 380, 5), (2, 400, 3))], 2),
        (THROUGHPUT, [], None),
        (THROUGHPUT, [(1, ROWS), (1, ())], None),
        (THROUGHPUT, [measurements((1, 9, 9)), measurements((2, 9, 9))], None),
        (THROUGHPUT, [measurements((1, 9, 9), (2, 8, 9)), measurements((2, 9, 9))], 2),
    ],
)
def test_the_best_number_of_cores_depends_on_the_profile(
    profile: str, models: list[tuple[int, tuple[Scaling, ...]]], expected: int | None
) -> None:
    assert best_cores(profile, models) == expected


@pytest.mark.parametrize(("shares", "expected"), [((1, 1), 2), ((9, 1), 1)])
def test_models_are_weighted_by_their_shares(shares: tuple[int, int], expected: int) -> None:
    one, other = measurements((1, 100, 9), (2, 90, 9))[1], measurements((1, 5, 9), (2, 10, 9))[1]
    assert best_cores(THROUGHPUT, [(shares[0], one), (shares[1], other)]) == expected


def test_the_reason_is_explained() -> None:
    assert explain_cores(THROUGHPUT, 1) == "1 core per worker, measured best for throughput"
    assert explain_cores(LATENCY, 4) == "4 cores per worker, measured best for latency"
    assert explain_cores(LATENCY, None) == (
        "not all models were measured on this kind of machine: run `make model-prepare`"
    )
