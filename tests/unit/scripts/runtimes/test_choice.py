"""The choice of a runtime: the requested one, the one that serves, or the best for the machine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, parse_cluster
from scripts.host import docker
from scripts.runtimes.choice import RUNTIMES, choose
from scripts.runtimes.run_directory import RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def engine(monkeypatch: pytest.MonkeyPatch, fault: str | None) -> None:
    """Let docker.py report the `fault` of an engine, or one that answers."""
    monkeypatch.setattr(docker, "engine_fault", lambda: fault)


@pytest.mark.parametrize("wanted", ["local", "compose"])
@pytest.mark.parametrize("fault", [None, "found no Docker engine"])
def test_what_is_asked_for_is_chosen_whatever_the_machine_has(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, wanted: str, fault: str | None
) -> None:
    engine(monkeypatch, fault)
    assert choose(wanted, run) is RUNTIMES[wanted]


@pytest.mark.parametrize("wanted", ["", "compose"])
def test_what_serves_already_goes_on_serving_even_when_the_engine_is_away(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    run.write({"runtime": "compose\n"})
    engine(monkeypatch, "found no Docker engine")
    assert choose(wanted, run) is RUNTIMES["compose"]


@pytest.mark.parametrize(("fault", "name"), [(None, "compose"), ("found no Docker engine", "local")])
def test_with_nothing_asked_and_nothing_serving_an_engine_is_used_where_there_is_one(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, fault: str | None, name: str
) -> None:
    engine(monkeypatch, fault)
    assert choose("", run).name == name


def test_an_unknown_runtime_is_refused(run: RunDir) -> None:
    with pytest.raises(CommandError) as refusal:
        choose("Local", run)
    assert str(refusal.value) == "RUNTIME: found 'Local', needed one of local, compose, swarm"


@pytest.mark.parametrize(("serving", "wanted"), [("local", "compose"), ("compose", "local")])
def test_another_runtime_than_the_one_that_serves_is_refused(run: RunDir, serving: str, wanted: str) -> None:
    run.write({"runtime": f"{serving}\n"})
    with pytest.raises(CommandError) as refusal:
        choose(wanted, run)
    assert str(refusal.value) == (
        f"{run.path}: found the runtime {serving} serving from here, asked for was {wanted}: "
        "run `make down` first, or give another RUN_DIR="
    )


def test_every_folder_with_a_runtime_is_registered_under_its_name() -> None:
    folders = {path.parent.name for path in (ROOT / "scripts/runtimes").glob("*/runtime.py")}
    assert set(RUNTIMES) == folders
    assert all(runtime.name == name for name, runtime in RUNTIMES.items())


@pytest.mark.parametrize("name", [*RUNTIMES, "podman"])
def test_a_run_directory_knows_no_runtime_but_those(run: RunDir, name: str) -> None:
    run.write({"runtime": f"{name}\n"})
    assert run.runtime == (name if name in RUNTIMES else None)


@pytest.mark.parametrize(
    ("servers", "manager", "name"), [(3, True, "swarm"), (1, True, "compose"), (3, False, "compose")]
)
def test_several_servers_are_served_by_swarm_where_this_engine_manages_one(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, servers: int, manager: bool, name: str
) -> None:
    engine(monkeypatch, None)
    monkeypatch.setattr(docker, "is_swarm_manager", lambda: manager)
    assert choose("", run, servers).name == name


SEVERAL = parse_cluster(
    '[[models]]\nname = "m"\nfolder = "m"\n[[servers]]\n[[servers]]\nname = "b"\naddress = "b"\n', "c.toml"
)


@pytest.mark.parametrize("name", ["local", "compose"])
def test_what_only_several_servers_have_is_refused_on_one(run: RunDir, name: str) -> None:
    runtime = RUNTIMES[name]
    attempts: dict[str, Callable[[], None]] = {
        "status": lambda: runtime.show_status(SEVERAL, run),
        "rollback": lambda: runtime.rollback(SEVERAL, run),
        "drain": lambda: runtime.drain(SEVERAL, run, "b"),
    }
    for command, attempt in attempts.items():
        with pytest.raises(CommandError) as refusal:
            attempt()
        assert str(refusal.value) == (
            f"`make {command}` of several servers needs the swarm runtime: run it on a manager of the swarm"
        )


def test_workers_of_two_models_run_side_by_side_where_slots_have_room() -> None:
    assert {name for name in ("local", "compose") if RUNTIMES[name].side_by_side() is RUNTIMES[name]} == {
        "local", "compose",
    }  # fmt: skip
    with pytest.raises(CommandError) as refusal:
        RUNTIMES["swarm"].side_by_side()
    assert str(refusal.value) == (
        "under Swarm each slot has room for one worker: keep the model's name in the cluster's file, give it the other "
        "folder, and `make up`: its workers go over one at a time, losing no request"
    )
