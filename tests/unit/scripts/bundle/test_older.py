"""Bundles that extend an older one: what they leave out, and what both give together."""

import json
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bundle import layout, older
from scripts.bundle.verify import verify_files
from tests.bundles import make_bundle, write_sums


def extended(old: Path, new: Path) -> list[str]:
    """Make `new`, which has another kit than `old`, a bundle that extends it; return the names that it keeps."""
    sums = layout.read_sums(old)
    older.reuse(old, sums, new)
    for name in (layout.KIT, layout.INIT, layout.SBOM):
        (new / name).write_text(f"new {name}" if name == layout.KIT else (old / name).read_text())
    manifest = json.loads((old / layout.MANIFEST).read_text())
    extends = {"created": "2026-01-02T03:04:05+00:00", "revision": "a" * 40}
    (new / layout.MANIFEST).write_text(json.dumps(manifest | {"extends": extends}))
    write_sums(new)
    return older.leave_out(new, layout.read_sums(new), sums)


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    old, new = make_bundle(tmp_path / "old", tmp_path / "source"), tmp_path / "new"
    new.mkdir()
    assert extended(old, new) == [layout.MANIFEST, layout.KIT]
    return old, new


def test_only_what_changed_is_kept_and_the_older_bundle_stays_as_it_was(bundles: tuple[Path, Path]) -> None:
    old, new = bundles
    assert sorted(path.name for path in new.iterdir()) == sorted([layout.MANIFEST, layout.KIT, layout.SUMS])
    verify_files(old)


def test_both_together_are_complete_and_either_alone_says_what_it_lacks(
    bundles: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = bundles
    verify_files(new, old)
    assert capsys.readouterr().out.startswith(f"complete: {new}, 9 files, ")
    with pytest.raises(CommandError) as error:
        verify_files(new)
    assert error.value.lines == (
        f"{new}: found 2 of 9 files, needed the others from the bundle of 2026-01-02T03:04:05+00:00 that it extends "
        "(revision aaaaaaaaaaaa): set BASE=DIR",
    )
    (old / "images/gateway.tar.gz").write_text("damaged")
    (old / "models/m/model.toml").unlink()
    with pytest.raises(CommandError) as error:
        verify_files(new, old)
    assert [line.removeprefix(f"{new}/").partition(",")[0].partition(" sha256")[0] for line in error.value.lines] == [
        "images/gateway.tar.gz: found", "models/m/model.toml: found nothing"
    ]  # fmt: skip


def test_a_bundle_extends_another_one(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"BASE and OUT: found .* twice, needed another directory"):
        older.read_base(tmp_path, tmp_path / ".")
    with pytest.raises(CommandError, match="needed the checksums of a finished bundle"):
        older.read_base(tmp_path, tmp_path / "new")
