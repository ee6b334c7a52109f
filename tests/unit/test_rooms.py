"""The layout: rooms import what stands above them in these lists, and nothing else; a runtime imports no other."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT

# Top down: each room may import itself and those before it.
SCRIPTS = (
    "_vendor",
    "base",
    "cluster",
    "render",
    "host",
    "runtimes",
    "models",
    "teach_page",
    "bundle",
    "bootstrap",
    "client",
    "bench",
    "commands",
    "__main__",
)
WORKER = ("_vendor", "contract", "decode", "models", "engines", "process", "pipeline", "api", "app")
RUNTIMES = ("local", "compose", "swarm")


def modules(part: str) -> Iterator[Path]:
    yield from (path for path in (ROOT / part).rglob("*.py") if path.name != "gunicorn.conf.py")


@cache
def imported(path: Path) -> list[str]:
    """Return the dotted name of everything that the module at `path` imports, also inside its functions."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
    absolute = [node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return plain + [f"{node.module}.{name.name}" for node in absolute for name in node.names]


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(path: Path, part: str) -> str:
    return path.relative_to(ROOT / part).with_suffix("").parts[0]


@pytest.mark.parametrize(("part", "rooms"), [("scripts", SCRIPTS), ("worker", WORKER)])
def test_imports_point_to_rooms_further_up(part: str, rooms: tuple[str, ...]) -> None:
    wrong = []
    for path in modules(part):
        room = room_of(path, part)
        if room == "__init__":
            continue
        assert room in rooms, f"{path}: needed one of the rooms {rooms}"
        for name in imported(path):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0]
            if top == part and target in rooms and rooms.index(target) > rooms.index(room):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_no_runtime_imports_another() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for runtime in RUNTIMES
        for path in modules(f"scripts/runtimes/{runtime}")
        for name in imported(path)
        for other in RUNTIMES
        if other != runtime and name.startswith(f"scripts.runtimes.{other}.")
    ]
    assert wrong == []


def test_only_the_choice_knows_the_runtimes() -> None:
    """Others have a `Runtime`; teaching on the page needs the one whose Nginx runs in no container."""
    known = {
        str(path.relative_to(ROOT / "scripts"))
        for path in modules("scripts")
        if not any(path.is_relative_to(ROOT / "scripts/runtimes" / runtime) for runtime in RUNTIMES)
        for name in imported(path)
        if name.startswith(tuple(f"scripts.runtimes.{runtime}" for runtime in RUNTIMES))
    }
    assert known == {"runtimes/choice.py", "commands/teach_page.py", "bootstrap/checks/daemon.py"}


def test_scripts_import_nothing_of_the_worker_but_its_contract() -> None:
    """What runs in an environment of its own, the model tools and the bench, may import all of it."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules("scripts")
        if not path.is_relative_to(ROOT / "scripts/models/tools") and not path.is_relative_to(ROOT / "scripts/bench")
        for name in imported(path)
        if name.startswith("worker.") and not name.startswith("worker.contract")
    ]
    assert wrong == []


@pytest.mark.parametrize("part", ["scripts", "worker", "nginx/gate"])
def test_no_modules_import_each_other_in_a_circle(part: str) -> None:
    files = {dotted(path): path for path in modules(part)}
    needed = {
        name: {full if full in files else full.rpartition(".")[0] for full in imported(path)} & files.keys()
        for name, path in files.items()
    }
    assert len(list(TopologicalSorter(needed).static_order())) == len(files)  # raises CycleError, which names a circle


@pytest.mark.parametrize("part", ["worker", "nginx/gate"])
def test_the_worker_and_the_gate_import_nothing_of_scripts(part: str) -> None:
    assert [name for path in modules(part) for name in imported(path) if name.startswith("scripts")] == []


def test_the_client_package_needs_requests_alone_and_that_in_one_module() -> None:
    needed = {
        path.stem: {name.partition(".")[0] for name in imported(path)} - sys.stdlib_module_names
        for path in modules("scripts/client/wanwu_client")
    }
    # The client names the type of a session, for type checkers alone.
    assert {stem: names for stem, names in needed.items() if names} == {
        "client": {"requests"},
        "requests_transport": {"requests"},
    }


def test_every_room_has_a_short_readme() -> None:
    rooms = [ROOT / "scripts" / room for room in SCRIPTS[:-1]] + [ROOT / "worker" / room for room in WORKER[:-1]]
    rooms += [ROOT / name for name in ("compose", "nginx", "scripts", "worker", "tests")]
    for room in rooms:
        assert 3 <= len((room / "README.md").read_text(encoding="utf-8").splitlines()) <= 40, room
