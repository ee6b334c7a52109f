"""How many cores a CPU worker gets where the cluster's file leaves it open: what was measured best. Pure."""

from collections.abc import Mapping, Sequence

from worker.contract.engine import Scaling

THROUGHPUT, LATENCY = PROFILES = ("throughput", "latency")
NOISE = 0.03  # two that differ by less are alike; then fewer cores, for a worker's Python runs on one of them


def best(profile: str, models: Sequence[tuple[int, Sequence[Scaling]]]) -> int | None:
    """The cores of one worker that serve `models` best: the share of each, and what was measured of it on this machine.

    For throughput the most images/s of the whole machine, for latency the shortest time of one image; of several
    models the mean by their shares, each against its own best. None where not all were measured with the same cores.
    """
    tables = [{row.cores: row for row in rows} for _, rows in models]
    common = set.intersection(*map(set, tables)) if tables else set()
    if not common:
        return None
    total = dict.fromkeys(common, 0.0)
    for (share, _), table in zip(models, tables, strict=True):
        for cores, value in _worth(profile, {cores: table[cores] for cores in common}).items():
            total[cores] += share * value
    most = max(total.values())
    return min(cores for cores in common if total[cores] >= most * (1 - NOISE))


def _worth(profile: str, rows: Mapping[int, Scaling]) -> dict[int, float]:
    """What each number of cores is worth to one model, 1 for its best."""
    values = {cores: row.images_per_s if profile == THROUGHPUT else 1 / row.latency_ms for cores, row in rows.items()}
    return {cores: value / max(values.values()) for cores, value in values.items()}


def reason(profile: str, cores: int | None) -> str:
    """Why a worker has the cores it has, for a person."""
    if cores is None:
        return "not all models were measured on this kind of machine: `make model-prepare` does"
    return f"{cores} {'core' if cores == 1 else 'cores'} a worker, measured best for {profile}"
