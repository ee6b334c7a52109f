"""Environments, created by the real pip from a folder of wheels, without a package index."""

import hashlib
import re
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.host import venv
from scripts.host.environments import TORCH_CPU, Environment
from scripts.host.venv import STAMP, ensure, is_current


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


def test_an_environment_is_created_once_and_another_beside_it_after_a_change(
    base: Environment, pip_finds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make_wheel(pip_finds, "1")
    changed = first.split("sha256:")[0] + "sha256:" + "0" * 64
    lock = tmp_path / "lock.txt"
    environment = Environment(tmp_path / ".venv/tiny", (lock,), parent=base)

    lock.write_text(first)
    python = ensure(environment, nvidia=False)
    assert re.fullmatch(r"tiny-[0-9a-f]{12}/bin/python", str(python.relative_to(tmp_path / ".venv")))
    assert installed_version(python) == installed_version(tmp_path / ".venv/tiny/bin/python") == "1"
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
    folder = re.escape(str(environment.folder))
    assert re.fullmatch(rf"pip could not install the packages of {folder}-[0-9a-f]{{12}}:", summary)
    assert errors
    assert all(line.startswith("ERROR: ") for line in errors)
    assert "HASHES" in errors[0]
    assert needed == "needed a package index, or PIP_FIND_LINKS set to a folder with the wheels"
    assert mark.exists()  # the link still leads to the one before, which a service may run from
    assert (installed_version(environment.python), is_current(environment, nvidia=False)) == ("1", False)

    lock.write_text(make_wheel(pip_finds, "2"))
    newer = ensure(environment, nvidia=False)
    assert (installed_version(newer), installed_version(python)) == ("2", "1")
    lock.write_text(first)
    assert ensure(environment, nvidia=False) == python  # without pip: it was never deleted


def test_an_interrupted_creation_begins_anew(base: Environment, pip_finds: Path, tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(make_wheel(pip_finds, "1"))
    environment = Environment(tmp_path / ".venv/tiny", (lock,), parent=base)
    python = ensure(environment, nvidia=False)
    (environment.home / STAMP).unlink()  # it is written last
    (environment.packages / "tiny.py").write_text("half")
    environment.folder.unlink()
    assert ensure(environment, nvidia=False) == python
    assert installed_version(python) == "1"


def test_another_build_of_python_without_an_index_keeps_the_packages(
    base: Environment,
    pip_finds: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As after an update of the system's Python on a site without a network."""
    lock = tmp_path / "lock.txt"
    lock.write_text(make_wheel(pip_finds, "1"))
    environment = Environment(tmp_path / ".venv/tiny", (lock,), parent=base)
    python = ensure(environment, nvidia=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(base.own_locks[0].parent))  # which has that one's packages alone
    monkeypatch.setattr(sys, "version", f"{sys.version} rebuilt")
    assert ensure(environment, nvidia=False) == python
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"!! {environment.folder}: still used, made by an earlier build of this Python: same packages"
    lock.write_text(f"{lock.read_text()}# other packages\n")
    with pytest.raises(CommandError):
        ensure(environment, nvidia=False)


def test_the_place_of_an_earlier_kits_environment_becomes_a_link(
    base: Environment, pip_finds: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(make_wheel(pip_finds, "1"))
    environment = Environment(tmp_path / ".venv/tiny", (lock,), parent=base)
    home = ensure(environment, nvidia=False).parent.parent
    environment.folder.unlink()
    home.rename(environment.folder)
    assert ensure(environment, nvidia=False) == environment.folder / "bin/python"  # complete, so it stays
    lock.write_text(make_wheel(pip_finds, "2"))
    assert installed_version(ensure(environment, nvidia=False)) == "2"
    assert (environment.folder.is_symlink(), installed_version(home / "bin/python")) == (True, "1")


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

    shutil.rmtree(root.home)
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
    monkeypatch.setattr(venv, "TORCH_CPU", cpu)
    monkeypatch.setattr(venv, "TORCH_CUDA", cuda)
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
