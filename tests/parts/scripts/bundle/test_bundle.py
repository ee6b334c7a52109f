"""The kit and the needed images of a bundle, of a real checkout."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bundle import contents, kit, volume
from scripts.cluster.config import ROOT, load_cluster, parse_cluster
from scripts.host import images
from scripts.models import model_store
from worker.contract.version import VERSION


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a small git checkout with tracked files, one of them a script, and an ignored file."""
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "notes.txt").write_text("")
    (root / ".gitignore").write_text("/ignored\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o700)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "-c", "user.name=n", "-c", "user.email=e@e", "commit", "--quiet", "--message=first")
    (root / "ignored").write_text("")
    return root


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def test_the_kit_has_tracked_and_new_files(checkout: Path) -> None:
    clean = kit.read_kit(checkout)
    assert clean.files == (".gitignore", "notes.txt", "run.sh")
    assert (clean.version, clean.revision) == (VERSION, git(checkout, "rev-parse", "HEAD"))
    (checkout / "new").write_text("new")
    dirty = kit.read_kit(checkout)
    assert "new" in dirty.files
    assert dirty.revision == f"{clean.revision}-dirty"


def test_the_archive_is_reproducible_and_records_no_owner(checkout: Path, tmp_path: Path) -> None:
    kit.pack(kit.read_kit(checkout), tmp_path / "a.tar.gz", tmp_path / "draft")
    (checkout / "run.sh").touch()
    kit.pack(kit.read_kit(checkout), tmp_path / "b.tar.gz", tmp_path / "draft")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        modes = {member.name: (member.mode, member.uid, member.uname) for member in archive}
    assert modes["run.sh"] == (0o755, 0, "")
    assert modes["notes.txt"] == (0o644, 0, "")


def test_a_folder_outside_git_has_no_kit(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as error:
        kit.read_kit(tmp_path)
    (line,) = error.value.lines
    assert line.startswith(f"{tmp_path}: found no git checkout (fatal: not a git repository")
    assert line.endswith("), needed one to list the kit's files: run this in a clone of the repository")


def test_the_embedded_model_needs_the_gateway_and_the_smallest_worker_image() -> None:
    cluster = load_cluster(ROOT / "compose/cluster.toml")
    models = volume.select_models(model_store.entries(model_store.MODELS, cluster), ("photos",))
    assert contents.needed_images(models, cluster) == [images.GATEWAY, images.WORKERS["prepared"]]
    torch = parse_cluster('engine = "torch"\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n', "c.toml")
    assert contents.needed_images(models, torch) == [images.GATEWAY, images.WORKERS["torch"]]
