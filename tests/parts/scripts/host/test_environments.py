"""Environments, created by the real pip from a folder of wheels, without a package index."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.host import environments
from scripts.host.environments import (
    TORCH_CPU,
    Environment,
    ensure,
    is_current,
)


def make_wheel(folder: Path, version: str, name: str = "tiny", needs: str = "") -> str:
    """Build a wheel of the package `name` in `folder`; return the line that locks it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    dependency = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{dependency}")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def pip_finds(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip finds wheels in, and nowhere else: what a site without an index has."""
    folder = tmp_path_factory.mktemp("wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with pip, for others to extend: installing pip takes longer than anything else here."""
    home = tmp_path_factory.mktemp("base")
    (home / "lock.txt").write_text(make_wheel(home, "1", "base"))
    environment = Environment(home / ".venv/base", (home / "lock.txt",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(home))
        ensure(environment, nvidia=False)
    return environment


def installed_version(python: Path) -> str:
    return subprocess.check_output([python, "-c", "import tiny; print(tiny.VERSION)"], text=True).strip()


def test_an_environment_is_created_once_and_again_after_a_change_or_failure(
    base: Environment, pip_finds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make_wheel(pip_finds, "1")
    changed = first.split("sha256:")[0] + "sha256:" + "0" * 64
    lock = tmp_path / "lock.txt"
    environment = Environment(tmp_path / ".venv/tiny", (lock,), parent=base)

    lock.write_text(first)
    python = ensure(environment, nvidia=False)
    assert python == tmp_path / ".venv/tiny/bin/python"
    assert installed_version(python) == "1"
    assert capsys.readouterr().out.splitlines() == [
        "-- Python environment .venv/tiny",
        "   1/1 tiny-1-py3-none-any.whl",
        "   installing 1 packages",
    ]

    mark = environment.folder / "mark"
    mark.touch()
    assert ensure(environment, nvidia=False) == python
    assert ensure(environment, nvidia=True) == python  # it holds no torch
    assert mark.exists()
    assert capsys.readouterr().out == ""

    lock.write_text(changed)
    with pytest.raises(CommandError) as error:
        ensure(environment, nvidia=False)
    summary, *errors, needed = error.value.lines
    assert summary == "pip could not install the packages of .venv/tiny:"
    assert errors
    assert all(line.startswith("ERROR: ") for line in errors)
    assert "HASHES" in errors[0]
    assert needed == "needed a package index, or PIP_FIND_LINKS set to a folder with the wheels"
    assert not mark.exists()
    assert not (environment.folder / "installed").exists()  # so the next `ensure` starts again


def test_only_one_of_two_concurrent_calls_creates_the_environment(
    base: Environment, pip_finds: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(make_wheel(pip_finds, "1"))
    environment = Environment(tmp_path / ".venv/tiny", (lock,), parent=base)
    with ThreadPoolExecutor(2) as pool:
        pythons = list(pool.map(partial(ensure, nvidia=False), [environment] * 2))
    assert [installed_version(python) for python in pythons] == ["1", "1"]
    assert capfd.readouterr().out.splitlines().count("-- Python environment .venv/tiny") == 1


def test_an_environment_installs_only_what_those_that_it_extends_lack(
    base: Environment, pip_finds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny, first, second = (tmp_path / f"{name}.txt" for name in ("tiny", "first", "second"))
    tiny.write_text(make_wheel(pip_finds, "1"))
    first.write_text(tiny.read_text() + make_wheel(pip_finds, "2", "first", needs="tiny"))
    second.write_text(make_wheel(pip_finds, "3", "second", needs="tiny"))
    root = Environment(tmp_path / ".venv/root", (tiny,), parent=base)
    middle = Environment(tmp_path / ".venv/middle", (first,), parent=root)
    leaf = Environment(tmp_path / ".venv/leaf", (second,), parent=middle, compiled=False)

    python = ensure(leaf, nvidia=False)
    compiled = [any(each.packages.glob("__pycache__/*")) for each in (root, middle, leaf)]
    assert compiled == [True, True, sys.dont_write_bytecode]
    versions = "import tiny, first, second; print(tiny.VERSION, first.VERSION, second.VERSION)"
    assert subprocess.check_output([python, "-c", versions], text=True) == "1 2 3\n"
    modules = [sorted(path.name for path in each.packages.glob("[!_]*.py")) for each in (root, middle, leaf)]
    assert modules == [["tiny.py"], ["first.py"], ["second.py"]]
    assert capsys.readouterr().out.count("   1/1 ") == 3

    shutil.rmtree(root.folder)
    assert not is_current(leaf, nvidia=False)
    assert subprocess.check_output([ensure(leaf, nvidia=False), "-c", versions], text=True) == "1 2 3\n"


@pytest.mark.parametrize("constraints", ["", "torch<=99\ntorchvision<=99\n", "torch==2.0\n"])
def test_without_a_cpu_build_the_cuda_lock_is_installed(
    base: Environment, pip_finds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constraints: str
) -> None:
    (tmp_path / "constraints.txt").write_text(constraints)
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    lines = TORCH_CPU.read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("torch=="))
    end = next(index for index, line in enumerate(lines[start:], start) if not line.endswith("\\"))
    cpu, cuda = tmp_path / "cpu.txt", tmp_path / "cuda.txt"
    cpu.write_text("\n".join(lines[start : end + 1]))
    cuda.write_text(make_wheel(pip_finds, "1"))
    monkeypatch.setattr(environments, "TORCH_CPU", cpu)
    monkeypatch.setattr(environments, "TORCH_CUDA", cuda)
    environment = Environment(tmp_path / ".venv/torch", (), torch=True, parent=base)
    assert installed_version(ensure(environment, nvidia=False)) == "1"


def test_an_unsatisfiable_constraint_is_named(
    base: Environment, pip_finds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock.txt").write_text(make_wheel(pip_finds, "1"))
    (tmp_path / "constraints.txt").write_text("tiny>1\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    with pytest.raises(CommandError) as error:
        ensure(Environment(tmp_path / ".venv/tiny", (tmp_path / "lock.txt",), parent=base), nvidia=False)
    assert "The user requested (constraint) tiny>1" in "\n".join(error.value.lines)
