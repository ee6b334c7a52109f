"""The workers' names and ports: those of a running service, or free ones."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster import models
from scripts.cluster.config import ROOT, parse_cluster
from scripts.cluster.models import ModelInfo
from scripts.cluster.plan import plan
from scripts.runtimes import deployment
from scripts.runtimes.change import Member
from scripts.runtimes.deployment import Deployment, name_workers, plan_here, reuse_ports, with_default_ports
from scripts.runtimes.run_directory import RunDir
from tests.unit.hardware import recorded

FREE = {"photos-0": 8081, "wide-0": 8082}


def planned(port: int = 8080) -> Deployment:
    cluster = parse_cluster(
        f'port = {port}\n[[models]]\nname = "photos"\nfolder = "a"\n[[models]]\nname = "wide"\nfolder = "b"\n', "c.toml"
    )
    served = {name: ModelInfo("openvino", Path("a.png"), 1) for name in ("photos", "wide")}
    hardware = recorded("two-cores")
    return Deployment(cluster, hardware, served, plan(cluster, {"this": hardware}), RunDir(Path("/run")))


def ports(known: dict[str, int], free: bool = True, taken: int = 0) -> dict[str, int]:
    return dict(reuse_ports(planned(), known, lambda port: free and port != taken).ports)


def names(changed: Collection[str] = (), taken: Collection[str] = (), **running: str) -> list[str]:
    """The names that are planned while a worker of `photos` runs on each of the slots `running`, by its number."""
    members = {
        f"photos-{number[1:]}": Member(f"photos-{number[1:]}", "this", slot, "127.0.0.1:1", "photos", "")
        for number, slot in running.items()
    }
    return [worker.name for worker in name_workers(planned(), members, changed, taken).plan.workers]


def test_a_worker_is_called_as_the_one_that_runs_in_its_place() -> None:
    assert names() == ["photos-0", "wide-0"]
    assert names(n3="this-cpu0") == ["photos-3", "wide-0"]


def test_a_worker_that_changes_or_has_no_place_yet_gets_a_free_number() -> None:
    assert names(n0="this-cpu0", changed=["photos-0"]) == ["photos-1", "wide-0"]
    assert names(n0="this-cpu1") == ["photos-1", "wide-0"]
    assert names(n1="this-cpu0", changed=["photos-1"], taken=["photos-0", "wide-0"]) == ["photos-2", "wide-1"]


def test_a_plan_has_no_ports() -> None:
    assert planned().ports == {}


def test_if_nothing_runs_the_ports_follow_the_gateways() -> None:
    assert with_default_ports(planned()).ports == FREE
    assert ports({}, free=False) == FREE


def test_running_workers_keep_their_ports_and_new_ones_get_the_next_free_ones() -> None:
    known = {"photos-0": 8083, "gone-0": 8081}
    assert ports(known) == {"photos-0": 8083, "wide-0": 8082}
    assert ports(known, taken=8082) == {"photos-0": 8083, "wide-0": 8084}
    assert ports({"a-0": 8081, "a-1": 8082}) == {"photos-0": 8083, "wide-0": 8084}


def test_if_no_port_is_left_a_lower_port_is_needed() -> None:
    with pytest.raises(CommandError) as error:
        reuse_ports(planned(65533), {"a-0": 65534, "a-1": 65535}, lambda port: True)
    assert error.value.lines == ("port: found no free port above 65533 for photos-0: choose a lower port",)


def test_ports_beyond_the_last_are_refused() -> None:
    with pytest.raises(CommandError) as error:
        with_default_ports(planned(65534))
    assert error.value.lines == (
        "c.toml: port: found 65535 for the first of 2 workers, needed at most 65534: choose a lower port",
    )
    assert with_default_ports(planned(65533)).ports == {"photos-0": 65534, "wide-0": 65535}


def test_reused_ports_can_be_replaced_by_the_default_ones() -> None:
    moved = reuse_ports(planned(), {"a-0": 8081, "a-1": 8082}, lambda port: True)
    assert with_default_ports(moved).ports == FREE


def test_planning_reads_every_model_once_even_if_no_engine_can_use_the_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployment, "read_hardware", lambda: recorded("eight-gpus"))
    read = Counter[Path]()
    monkeypatch.setattr(models, "_read", lambda folder, real=models._read: (read.update([folder]), real(folder))[1])
    cluster = parse_cluster(f'[[models]]\nname = "photos"\nfolder = "{ROOT}/worker/photos"\n', "c.toml")
    found = plan_here(cluster, RunDir(tmp_path))
    assert found.hardware.gpus == ()
    assert read == {ROOT / "worker/photos": 1}
    assert list(tmp_path.iterdir()) == []
