"""The choice of a runtime: the requested one, the one that serves, or the best for the machine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, parse_cluster
from scripts.host import docker
from scripts.runtimes.choice import RUNTIMES, choose
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.side_by_side import require_side_by_side


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def engine(monkeypatch: pytest.MonkeyPatch, fault: str | None) -> None:
    """Let docker.py report the `fault` of an engine, or one that answers."""
    monkeypatch.setattr(docker, "engine_fault", lambda: fault)


@pytest.mark.parametrize("requested", ["local", "compose"])
@pytest.mark.parametrize("fault", [None, "found no Docker engine"])
def test_a_requested_runtime_is_chosen_on_any_machine(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, requested: str, fault: str | None
) -> None:
    engine(monkeypatch, fault)
    assert choose(requested, run) is RUNTIMES[requested]


@pytest.mark.parametrize("requested", ["", "compose"])
def test_the_running_runtime_is_chosen_even_if_its_engine_does_not_answer(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, requested: str
) -> None:
    run.write({"runtime": "compose\n"})
    engine(monkeypatch, "found no Docker engine")
    assert choose(requested, run) is RUNTIMES["compose"]


@pytest.mark.parametrize(("fault", "name"), [(None, "compose"), ("found no Docker engine", "local")])
def test_by_default_an_engine_is_used_if_there_is_one(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, fault: str | None, name: str
) -> None:
    engine(monkeypatch, fault)
    assert choose("", run).name == name


def test_an_unknown_runtime_is_refused(run: RunDir) -> None:
    with pytest.raises(CommandError) as error:
        choose("Local", run)
    assert str(error.value) == "RUNTIME: found 'Local', needed one of local, compose, swarm"


@pytest.mark.parametrize(("active", "requested"), [("local", "compose"), ("compose", "local")])
def test_a_runtime_other_than_the_running_one_is_refused(run: RunDir, active: str, requested: str) -> None:
    run.write({"runtime": f"{active}\n"})
    with pytest.raises(CommandError) as error:
        choose(requested, run)
    assert str(error.value) == (
        f"{run.path}: found the {active} runtime running here, needed {requested}: "
        "run `make down` first, or set another RUN_DIR="
    )


def test_every_folder_with_a_runtime_is_registered_under_its_name() -> None:
    folders = {path.parent.name for path in (ROOT / "scripts/runtimes").glob("*/runtime.py")}
    assert set(RUNTIMES) == folders
    assert all(runtime.name == name for name, runtime in RUNTIMES.items())


@pytest.mark.parametrize("name", [*RUNTIMES, "podman"])
def test_a_run_directory_knows_only_registered_runtimes(run: RunDir, name: str) -> None:
    run.write({"runtime": f"{name}\n"})
    assert run.runtime == (name if name in RUNTIMES else None)


@pytest.mark.parametrize(
    ("servers", "manager", "name"), [(3, True, "swarm"), (1, True, "compose"), (3, False, "compose")]
)
def test_several_servers_are_served_by_swarm_if_this_engine_manages_one(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, servers: int, manager: bool, name: str
) -> None:
    engine(monkeypatch, None)
    monkeypatch.setattr(docker, "is_swarm_manager", lambda: manager)
    assert choose("", run, servers).name == name


TWO_SERVERS = parse_cluster(
    '[[models]]\nname = "m"\nfolder = "m"\n[[servers]]\n[[servers]]\nname = "b"\naddress = "b"\n', "c.toml"
)


@pytest.mark.parametrize("name", ["local", "compose"])
def test_commands_for_several_servers_are_refused_by_runtimes_on_one_machine(run: RunDir, name: str) -> None:
    runtime = RUNTIMES[name]
    attempts: dict[str, Callable[[], None]] = {
        "status": lambda: runtime.show_status(TWO_SERVERS, run),
        "drain": lambda: runtime.drain(TWO_SERVERS, run, "b"),
    }
    for command, attempt in attempts.items():
        with pytest.raises(CommandError) as error:
            attempt()
        assert str(error.value) == (
            f"`make {command}` for several servers needs the swarm runtime: run it on a swarm manager"
        )


@pytest.mark.parametrize("name", RUNTIMES)
def test_prometheus_runs_beside_a_service_on_one_machine(run: RunDir, name: str) -> None:
    runtime = RUNTIMES[name]
    assert not runtime.observability.is_on(run)
    runtime.observability.stop(run)
    if name == "swarm":
        with pytest.raises(CommandError, match="OBSERVABILITY: found the swarm runtime, needed local or compose"):
            runtime.observability.prepare(TWO_SERVERS, run)
    else:
        assert runtime.observability is not RUNTIMES["swarm"].observability


def test_workers_of_two_models_run_side_by_side_if_slots_have_room() -> None:
    assert {name for name in ("local", "compose") if require_side_by_side(RUNTIMES[name]) is RUNTIMES[name]} == {
        "local", "compose",
    }  # fmt: skip
    with pytest.raises(CommandError) as error:
        require_side_by_side(RUNTIMES["swarm"])
    assert str(error.value) == (
        "under Swarm each slot has room for only one worker: keep the model's name in the cluster file, change its "
        "folder and run `make up`, which replaces its workers one at a time, without losing a request"
    )
