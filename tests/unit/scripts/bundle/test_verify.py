"""Verification of a copied bundle: every kind of damage is reported in one line."""

import json
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bundle import layout
from scripts.bundle.verify import verify_files
from scripts.cluster.models import content_hash
from tests.bundles import REFERENCE, make_bundle, save_image, write_sums
from worker.contract.files import sha256


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle", tmp_path / "source")


def faults(bundle: Path) -> list[str]:
    with pytest.raises(CommandError) as error:
        verify_files(bundle)
    return [line.removeprefix(f"{bundle}/") for line in error.value.lines]


def rewrite(bundle: Path, part: str, **changed: object) -> None:
    """Change the first entry of a part of the manifest, and the checksums with it."""
    path = bundle / layout.MANIFEST
    manifest = json.loads(path.read_text())
    manifest[part][0] |= changed
    path.write_text(json.dumps(manifest))
    write_sums(bundle)


def test_a_complete_bundle_passes(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify_files(bundle)
    assert capsys.readouterr().out.startswith(f"complete: {bundle}, 9 files, ")


def test_a_flipped_bit_is_detected_in_every_file(bundle: Path) -> None:
    for name in list(layout.files(bundle)):
        good = (bundle / name).read_bytes()
        needed = sha256(bundle / name)
        (bundle / name).write_bytes(bytes([good[0] ^ 1]) + good[1:])
        found = sha256(bundle / name)
        assert faults(bundle) == [f"{name}: found sha256 {found}, needed {needed}: copy the bundle again"]
        (bundle / name).write_bytes(good)


def test_missing_and_extra_files_are_detected(bundle: Path) -> None:
    needed = sha256(bundle / "models/m/labels/en.txt")
    (bundle / "models/m/labels/en.txt").unlink()
    (bundle / "models/m/notes").write_text("")
    assert faults(bundle) == [
        f"models/m/labels/en.txt: found nothing, needed the file with sha256 {needed}: copy the bundle again",
        "models/m/notes: found a file that SHA256SUMS does not list, needed none: remove it",
    ]


def test_what_file_managers_leave_on_a_stick_is_passed_over(bundle: Path) -> None:
    for name in (".DS_Store", "models/._m", "System Volume Information/x", ".Trash-1000/x"):
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).touch()
    verify_files(bundle)


def test_a_bundle_without_checksums_is_unfinished(bundle: Path) -> None:
    (bundle / layout.SUMS).unlink()
    assert faults(bundle) == [
        "SHA256SUMS: found nothing, needed the checksums of a finished bundle: "
        "finish it with `make bundle` on the machine that created it, or copy all of it"
    ]


def test_invalid_checksums_are_reported(bundle: Path) -> None:
    (bundle / layout.SUMS).write_text("hello\n")
    assert faults(bundle) == [
        "SHA256SUMS: found 'hello', needed a sha256 and a path in every line: copy the bundle again"
    ]


def test_an_image_with_another_id_is_detected_without_an_engine(bundle: Path) -> None:
    expected = json.loads((bundle / layout.MANIFEST).read_text())["images"][0]["id"]
    other = save_image(bundle / "images/gateway.tar.gz", config=b"{}")
    write_sums(bundle)
    assert faults(bundle) == [
        f"images/gateway.tar.gz: found image {REFERENCE} with ID {other}, needed {REFERENCE} with ID {expected}: "
        "finish it with `make bundle` on the machine that created it, or copy all of it"
    ]


def test_a_file_that_is_not_an_image_is_reported(bundle: Path) -> None:
    (bundle / "images/gateway.tar.gz").write_text("not an archive")
    write_sums(bundle)
    (line,) = faults(bundle)
    assert line.startswith("images/gateway.tar.gz: found no readable image (")
    assert line.endswith(f"), needed {REFERENCE}: copy the bundle again")


def test_a_model_that_contradicts_the_manifest_or_the_sentinel_is_reported(bundle: Path) -> None:
    found = content_hash(bundle / "models/m")
    rewrite(bundle, "models", hash="0")
    assert faults(bundle) == [
        f"models/m: found content hash {found}, needed 0: copy the bundle again",
        f"models: found {found} in the sentinel for m, needed 0: copy the bundle again",
    ]


def test_an_invalid_manifest_is_reported_in_one_line(bundle: Path) -> None:
    (bundle / layout.MANIFEST).write_text("{}")
    write_sums(bundle)
    assert faults(bundle) == [
        "MANIFEST.json: found an invalid file (KeyError('kit')), needed a bundle's manifest: "
        "finish it with `make bundle` on the machine that created it, or copy all of it"
    ]
