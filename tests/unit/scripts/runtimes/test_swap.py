"""Plans of swaps: which two models can serve at once. Swaps themselves are tested on real services."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import parse_cluster
from scripts.cluster.hardware import Hardware
from scripts.cluster.models import ModelInfo
from scripts.cluster.plan import plan
from scripts.runtimes.deployment import Deployment, reuse_ports
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.swap import plan_swap
from tests.unit.hardware import recorded

ALTERNATIVE = "replace old with new in c.toml and run `make up`, which stops all workers first"


def deployed(*names: str, machine: Hardware | None = None, ports: dict[str, int] | None = None) -> Deployment:
    cluster = parse_cluster("".join(f'[[models]]\nname = "{name}"\nfolder = "{name}"\n' for name in names), "c.toml")
    hardware = machine or recorded("two-cores")
    models = {name: ModelInfo("openvino", Path("a.png"), 100_000_000) for name in names}
    planned = Deployment(cluster, hardware, models, plan(cluster, {"this": hardware}), RunDir(Path("/run-of-swap")))
    return reuse_ports(planned, ports or {}, lambda port: True)


def test_the_new_model_comes_last_and_its_workers_share_the_slots_of_those_they_replace() -> None:
    old = deployed("old", "kept")
    swap = plan_swap("old", "new", old, deployed("new", "kept", ports={"old-0": 8081, "kept-0": 8082}))
    assert [model.name for model in swap.both.cluster.models] == ["old", "kept", "new"]
    assert [(worker.name, worker.slot.name, swap.both.ports[worker.name]) for worker in swap.both.plan.workers] == [
        ("old-0", "this-cpu0", 8081), ("kept-0", "this-cpu1", 8082), ("new-0", "this-cpu0", 8083),
    ]  # fmt: skip
    assert (swap.workers("old"), swap.workers("new")) == (["old-0"], ["new-0"])


def test_both_models_must_fit_into_memory() -> None:
    machine = replace(recorded("two-cores"), memory_bytes=3_945_000_000)
    old, new = deployed("old", machine=machine), deployed("new", machine=machine)
    with pytest.raises(CommandError) as error:
        plan_swap("old", "new", old, new)
    fault, remedy = error.value.lines
    assert fault.startswith("memory: found 3945 MB, needed about 3945 MB for 4 workers")
    assert remedy == f"needed to run old and new at the same time; or {ALTERNATIVE}"
    enough = replace(machine, memory_bytes=3_946_000_000)
    assert plan_swap("old", "new", replace(old, hardware=enough), replace(new, hardware=enough))


def test_a_model_that_would_move_other_workers_is_refused() -> None:
    moved = deployed("new", "kept", ports={"kept-0": 9000})
    with pytest.raises(CommandError) as error:
        plan_swap("old", "new", deployed("old", "kept"), moved)
    assert error.value.lines == (
        f"new needs other slots than old, which would move the workers of kept: {ALTERNATIVE}",
    )
