"""Choose the cores of a CPU worker from measurements, if cluster.toml leaves their number open. Pure functions."""

from collections.abc import Mapping, Sequence

from worker.contract.engine import Scaling

THROUGHPUT, LATENCY = PROFILES = ("throughput", "latency")
NOISE = 0.03  # values this close count as equal; fewer cores win, as a worker's Python code runs on one core


def best_cores(profile: str, models: Sequence[tuple[int, Sequence[Scaling]]]) -> int | None:
    """Return the best number of cores for each worker; `models` are shares and measurements on this machine.

    The throughput profile maximises images/s of the whole machine; the latency profile minimises the time of one
    image. Several models are averaged by share, each relative to its own best. Return None if no number of cores was
    measured for all models.
    """
    tables = [{row.cores: row for row in rows} for _, rows in models]
    common = set.intersection(*map(set, tables)) if tables else set()
    if not common:
        return None
    total = dict.fromkeys(common, 0.0)
    for (share, _), table in zip(models, tables, strict=True):
        for cores, value in _relative_performance(profile, {cores: table[cores] for cores in common}).items():
            total[cores] += share * value
    highest = max(total.values())
    return min(cores for cores in common if total[cores] >= highest * (1 - NOISE))


def _relative_performance(profile: str, rows: Mapping[int, Scaling]) -> dict[int, float]:
    """Return one model's performance by number of cores, relative to its best: (0, 1]."""
    values = {cores: row.images_per_s if profile == THROUGHPUT else 1 / row.latency_ms for cores, row in rows.items()}
    return {cores: value / max(values.values()) for cores, value in values.items()}


def explain_cores(profile: str, cores: int | None) -> str:
    """Return in words why a worker has this number of `cores`."""
    if cores is None:
        return "not all models were measured on this kind of machine: run `make model-prepare`"
    return f"{cores} {'core' if cores == 1 else 'cores'} per worker, measured best for {profile}"
