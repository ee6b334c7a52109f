"""Which wheels a bundle carries, for which Pythons, and when an environment is made from them."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bundle import wheels
from scripts.host import environments
from scripts.host.pins import carried, python_version
from tests.unit.scripts.host.test_wheelhouse import make_wheel, write_lock


def test_every_environment_of_a_site_is_made_of_one_set() -> None:
    sets = {"local": environments.SERVE, "teach": environments.TEACH, "tools": environments.TOOLS}
    assert sets.keys() == set(wheels.SETS)
    for name, environment in sets.items():
        assert {environments.PIP, *environment.locks} <= set(wheels.locks([name], gpu=False))
    assert environments.TORCH_CPU in wheels.locks(wheels.SETS, gpu=False)
    assert environments.TORCH_CUDA in wheels.locks(wheels.SETS, gpu=True)


def test_sets_are_all_those_named_or_none() -> None:
    assert wheels.check_sets(()) == wheels.SETS
    assert wheels.check_sets(("teach",)) == ("teach",)
    assert wheels.check_sets(("none",)) == ()
    with pytest.raises(CommandError) as error:
        wheels.check_sets(("teach", "torch"))
    assert error.value.lines == ("WHEELS: found torch, needed some of local, teach, tools, or none",)


def test_the_pythons_are_those_of_the_named_systems() -> None:
    assert wheels.pythons(["debian-12", "debian-13", "ubuntu-22.04"]) == ("3.11", "3.13")
    assert wheels.pythons([]) == (python_version(),)


def test_wheels_are_used_only_if_all_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "wheels" / python_version()
    lock = write_lock(tmp_path / "lock.txt", make_wheel(tmp_path, "one"), make_wheel(tmp_path, "two"))
    assert carried([lock], tmp_path / "wheels") is None
    folder.mkdir(parents=True)
    for name in ("one", "two"):
        assert carried([lock], tmp_path / "wheels") is None
        (tmp_path / f"{name}-1.0-py3-none-any.whl").rename(folder / f"{name}-1.0-py3-none-any.whl")
    assert carried([lock], tmp_path / "wheels") == folder
