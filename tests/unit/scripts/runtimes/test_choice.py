"""Which runtime is chosen: the one that is asked for, the one that serves, or the best there is."""

from pathlib import Path

import pytest

from scripts.base.errors import Refusal
from scripts.host import docker
from scripts.runtimes.choice import MODULES, Runtime, Service, choose, refuse_swarm, require_swarm
from scripts.runtimes.compose import runtime as compose
from scripts.runtimes.local import runtime as local
from scripts.runtimes.run_directory import RUNTIMES, RunDir
from scripts.runtimes.swarm import runtime as swarm


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def engine(monkeypatch: pytest.MonkeyPatch, fault: str | None) -> None:
    """An engine that answers, or one with a fault; whether there is one is docker.py's own business."""
    monkeypatch.setattr(docker, "engine_fault", lambda: fault)


@pytest.mark.parametrize(("wanted", "module"), [("local", local), ("compose", compose)])
@pytest.mark.parametrize("fault", [None, "found no Docker engine"])
def test_what_is_asked_for_is_chosen_whatever_the_machine_has(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, wanted: str, module: object, fault: str | None
) -> None:
    engine(monkeypatch, fault)
    assert choose(wanted, run) is module


@pytest.mark.parametrize("wanted", ["", "compose"])
def test_what_serves_already_goes_on_serving_even_when_the_engine_is_away(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    run.write({"runtime": "compose\n"})
    engine(monkeypatch, "found no Docker engine")
    assert choose(wanted, run) is compose


@pytest.mark.parametrize(("fault", "module"), [(None, compose), ("found no Docker engine", local)])
def test_with_nothing_asked_and_nothing_serving_an_engine_is_used_where_there_is_one(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, fault: str | None, module: object
) -> None:
    engine(monkeypatch, fault)
    assert choose("", run) is module


def test_an_unknown_runtime_is_refused(run: RunDir) -> None:
    with pytest.raises(Refusal) as refusal:
        choose("Local", run)
    assert str(refusal.value) == "RUNTIME: found 'Local', needed one of local, compose, swarm"


@pytest.mark.parametrize(("serving", "wanted"), [("local", "compose"), ("compose", "local")])
def test_another_runtime_than_the_one_that_serves_is_refused(run: RunDir, serving: str, wanted: str) -> None:
    run.write({"runtime": f"{serving}\n"})
    with pytest.raises(Refusal) as refusal:
        choose(wanted, run)
    assert str(refusal.value) == (
        f"{run.path}: found the runtime {serving} serving from here, asked for was {wanted}: "
        "run `make down` first, or give another RUN_DIR="
    )


def test_every_runtime_does_all_that_a_runtime_does() -> None:
    def asked(protocol: type) -> list[str]:
        return [name for name, value in vars(protocol).items() if not name.startswith("_") and callable(value)]

    assert list(MODULES) == list(RUNTIMES)
    assert all(callable(getattr(module, name)) for module in MODULES.values() for name in asked(Service))
    assert all(callable(getattr(module, name)) for module in (local, compose) for name in asked(Runtime))
    assert (len(asked(Service)), len(asked(Runtime))) == (5, 6)


@pytest.mark.parametrize(("servers", "manager", "module"), [(3, True, swarm), (1, True, compose), (3, False, compose)])
def test_several_servers_are_served_by_swarm_where_this_engine_manages_one(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, servers: int, manager: bool, module: object
) -> None:
    engine(monkeypatch, None)
    monkeypatch.setattr(docker, "is_swarm_manager", lambda: manager)
    assert choose("", run, servers) is module


def test_commands_of_one_runtime_are_refused_in_another(run: RunDir) -> None:
    with pytest.raises(Refusal) as refusal:
        require_swarm(choose("compose", run), "drain")
    assert str(refusal.value) == (
        "`make drain` of several servers needs the swarm runtime: run it on a manager of the swarm"
    )
    with pytest.raises(Refusal) as refusal:
        refuse_swarm(choose("swarm", run))
    assert str(refusal.value) == (
        "under Swarm each slot has room for one worker: keep the model's name in the cluster's file, give it the other "
        "folder, and `make up`: its workers go over one at a time, losing no request"
    )
