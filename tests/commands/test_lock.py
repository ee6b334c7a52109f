"""`make lock` with the real uv, whose packages come from a small index on this disk."""

import zipfile
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.commands import lock
from scripts.commands.lock import ALL, Lock
from scripts.host.environments import LOCK, SERVE, Environment
from scripts.host.venv import ensure

BASE, TOP = (Lock(f"{name}.in", f"{name}.txt", local_builds=False) for name in ("base", "top"))
CPU, GPU = (Lock("torch.in", f"torch-{name}.txt", local_builds=name == "cpu") for name in ("cpu", "cuda"))


def publish(folder: Path, name: str, version: str, needs: str = "") -> None:
    """Put a wheel of `name` into `folder` and onto the index page of its name there."""
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{about}/METADATA", metadata + (f"Requires-Dist: {needs}\n" if needs else ""))
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")
    page = folder / "simple" / name / "index.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    with page.open("a") as file:
        file.write(f'<a href="{wheel.as_uri()}">{wheel.name}</a>\n')


@pytest.fixture(scope="module")
def uv(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The pinned uv, in an environment of its own, which has its pip from another: installing pip takes longer."""
    own = Environment(tmp_path_factory.mktemp("uv") / "lock", LOCK.locks, parent=SERVE, compiled=False)
    ensure(own, nvidia=False)
    return own


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uv: Environment) -> Path:
    """The folder of an index with `tiny` 1 and `top` 1, which pip is told of, and of nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    publish(folder, "tiny", "1")
    publish(folder, "top", "1", needs="tiny")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", (folder / "simple").as_uri())
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", "/nonexistent")  # what uv itself is told counts for nothing
    monkeypatch.setenv("UV_FIND_LINKS", "/nonexistent")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lock, "LOCK", uv)
    return folder


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Path) -> Path:
    """A repository with two locks to make, of which the first constrains the second."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "base.in").write_text("tiny\n")
    (root / "top.in").write_text("-c base.txt\ntop\n")
    monkeypatch.setattr(lock, "ROOT", root)
    monkeypatch.setattr(lock, "LOCKS", (BASE, TOP))
    return root


def files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir()}


def pins(path: Path) -> list[str]:
    return [line.split()[0] for line in path.read_text().splitlines() if "==" in line]


def refused(upgrade: str = "") -> tuple[str, ...]:
    with pytest.raises(CommandError) as refusal:
        lock.compile_locks(upgrade)
    return refusal.value.lines


def test_locks_are_made_and_come_out_identical_until_an_upgrade_is_wanted(
    index: Path, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.compile_locks("")
    assert pins(tree / "top.txt") == ["tiny==1", "top==1"]
    assert "--hash=sha256:" in (tree / "base.txt").read_text()
    assert f"#    uv {' '.join(TOP.arguments)}\n" in (tree / "top.txt").read_text()
    assert "index" not in (tree / "top.txt").read_text().replace("--no-emit-index-url", "")

    made = files(tree)
    publish(index, "tiny", "2")
    publish(index, "top", "2", needs="tiny")
    lock.compile_locks("")
    assert files(tree) == made
    assert capsys.readouterr().out.splitlines()[-1] == "   0 of 2 lock files changed"

    lock.compile_locks("tiny")
    assert pins(tree / "top.txt") == ["tiny==2", "top==1"]
    assert "   base.txt: tiny==1 -> tiny==2" in capsys.readouterr().out.splitlines()
    lock.compile_locks(ALL)
    assert pins(tree / "top.txt") == ["tiny==2", "top==2"]
    assert (tree / "top.txt").read_text().splitlines()[:2] == made["top.txt"].decode().splitlines()[:2]


def test_a_changed_in_file_changes_its_lock(tree: Path) -> None:
    lock.compile_locks("")
    (tree / "top.in").write_text("-c base.txt\ntiny\n")
    before = files(tree)
    lock.compile_locks("")
    assert pins(tree / "top.txt") == ["tiny==1"]
    assert files(tree)["base.txt"] == before["base.txt"]


def test_without_an_index_it_says_so_and_changes_nothing(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock.compile_locks("")
    (tree / "base.in").write_text("tiny<2\n")
    before = files(tree)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    said, *reasons, needed = refused()
    assert said == "base.txt: found no package index that answers:"
    assert any("127.0.0.1:9" in reason for reason in reasons)
    assert needed == "needed one on this network: set PIP_INDEX_URL to a mirror; nothing was changed"
    assert files(tree) == before


def test_what_cannot_be_met_is_named_and_no_lock_changes(tree: Path, index: Path) -> None:
    lock.compile_locks("")
    publish(index, "tiny", "2")
    (tree / "base.in").write_text("tiny==2\n")
    (tree / "top.in").write_text("-c base.txt\ntop==99\n")
    before = files(tree)
    said, *reasons, nothing = refused()
    assert said == "top.txt: found no versions that top.in and its constraints allow:"
    assert any("top==99" in reason for reason in reasons)
    assert nothing == "nothing was changed"
    assert files(tree) == before  # base.txt neither, which could be made


def test_each_torch_lock_has_its_own_build_or_is_refused(
    tree: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LOCKS", (GPU, CPU))
    (tree / "torch.in").write_text("torch==3.0\n")
    publish(index, "torch", "3.0")
    assert refused() == (
        "torch-cpu.txt: found torch==3.0, needed the CPU-only build, such as 2.13.0+cpu: "
        "set PIP_FIND_LINKS to a folder or page that has it; nothing was changed",
    )
    builds = tmp_path / "builds"
    builds.mkdir()
    publish(builds, "torch", "3.0+cpu")
    monkeypatch.setenv("PIP_FIND_LINKS", str(builds))
    lock.compile_locks("")
    assert (pins(tree / "torch-cuda.txt"), pins(tree / "torch-cpu.txt")) == (["torch==3.0"], ["torch==3.0+cpu"])
    assert str(builds) not in (tree / "torch-cpu.txt").read_text()

    publish(index, "torch", "3.0+cpu")
    (tree / "torch-cuda.txt").unlink()
    assert refused() == (
        "torch-cuda.txt: found torch==3.0+cpu, needed the GPU build, without a local version: "
        "set PIP_INDEX_URL to an index that has it; nothing was changed",
    )
