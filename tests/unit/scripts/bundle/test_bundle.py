"""The parts of a bundle one by one: the kit, the models, the needed images, the bill of materials."""

import json
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bundle import contents, kit, sbom, volume
from scripts.bundle.run import _prepare_directory
from scripts.cluster.config import ROOT
from scripts.cluster.models import content_hash
from scripts.host import images
from scripts.host.apt_texts import read_stanzas
from scripts.host.pins import read_pins
from scripts.host.wheelhouse import LOCKS
from scripts.models.model_store import StoredModel
from tests.bundles import make_model
from worker.contract.version import VERSION
from worker.contract.volume import read_sentinel

DEB = "Package: libc++\nVersion: 1:2+x\nArchitecture: amd64\nFilename: ./libc.deb\nSize: 1\nSHA256: " + "a" * 64 + "\n"


def test_named_models_are_selected_by_default_the_served_ones(tmp_path: Path) -> None:
    a, b, c = (StoredModel(name, tmp_path / name, served) for name, served in (("a", ("x",)), ("b", ()), ("c", ("c",))))
    assert volume.select_models([a, b, c], ()) == [a, c]
    assert volume.select_models([a, b, c], ("b", "x", "a")) == [b, a]
    with pytest.raises(CommandError) as error:
        volume.select_models([a, b, c], ("d", "a"))
    assert error.value.lines == ("MODELS: found d, needed some of a, b, c, x",)


def test_two_folders_of_the_same_name_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as error:
        volume.select_models(
            [StoredModel("a", tmp_path / "one/a", ("a",)), StoredModel("a", tmp_path / "two/a", ("b",))], ()
        )
    assert error.value.lines == ("MODELS: found two folders called a, needed different names: rename one",)


@pytest.mark.parametrize("name", ["line\nbreak", "tab\t", "\x7f", "latin-\udce9"])
def test_folders_with_unprintable_names_are_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError) as error:
        volume.select_models([StoredModel("a", tmp_path / name, ("a",))], ())
    assert error.value.lines == (
        f"MODELS: found a folder called {name!r}, needed a name of printable UTF-8: rename it",
    )
    printable = StoredModel("a", tmp_path / "two words 万物 👩\u200d🔬 \\\"'", ("a",))
    assert volume.select_models([printable], ()) == [printable]


def test_models_are_copied_once_and_others_are_removed(tmp_path: Path) -> None:
    bundle, work = tmp_path / "bundle", tmp_path / "bundle/.work"
    work.mkdir(parents=True)
    one, two = (StoredModel(name, make_model(tmp_path / name)) for name in ("one", "two"))
    hashes = volume.copy([one, two], bundle, work)
    assert hashes == {name: content_hash(tmp_path / name) for name in ("one", "two")}
    identity, recorded = read_sentinel(bundle / "models")
    assert recorded == hashes
    before = (bundle / "models/one/model.toml").stat()
    volume.copy([one], bundle, work)
    assert (bundle / "models/one/model.toml").stat() == before
    assert read_sentinel(bundle / "models")[0] != identity
    assert sorted(path.name for path in (bundle / "models").iterdir()) == [".wanwu-volume.json", "one"]


def test_what_file_managers_leave_is_neither_hashed_nor_copied(tmp_path: Path) -> None:
    entry, work = StoredModel("m", make_model(tmp_path / "m")), tmp_path / "bundle/.work"
    work.mkdir(parents=True)
    clean = content_hash(entry.folder)
    (entry.folder / "@eaDir").mkdir()
    for name in (".DS_Store", "@eaDir/model.toml", "model.toml~"):
        (entry.folder / name).touch()
    assert volume.copy([entry], work.parent, work) == {"m": clean}
    assert {path.name for path in (work.parent / "models/m").iterdir()} & {
        ".DS_Store",
        "@eaDir",
        "model.toml~",
    } == set()


def test_a_damaged_copy_is_replaced(tmp_path: Path) -> None:
    work = tmp_path / "bundle/.work"
    work.mkdir(parents=True)
    entry = StoredModel("m", make_model(tmp_path / "m"))
    volume.copy([entry], work.parent, work)
    (work.parent / "models/m/model.toml").write_text("damaged")
    volume.copy([entry], work.parent, work)
    assert content_hash(work.parent / "models/m") == content_hash(entry.folder)


def test_unknown_systems_are_rejected() -> None:
    with pytest.raises(CommandError) as error:
        contents.check_systems(["debian-12", "debian-9"])
    assert error.value.lines == (
        "SYSTEMS: found debian-9, needed some of debian-12, debian-13, ubuntu-22.04, ubuntu-24.04, or none",
    )


def test_a_directory_with_other_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CommandError) as error:
        _prepare_directory(tmp_path)
    assert error.value.lines == (
        f"{tmp_path}: found thesis.txt, needed a bundle's files: name a new directory with OUT=",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_every_worker_image_has_lock_files() -> None:
    assert sbom.LOCKS.keys() == images.WORKERS.keys()
    assert {lock for locks in sbom.LOCKS.values() for lock in locks} == set(LOCKS)
    assert sbom.locks_for(["wanwu-gateway:tag"]) == []
    assert sbom.locks_for(["wanwu-worker-prepared:tag"]) == list(sbom.LOCKS["prepared"])


def bill() -> str:
    dirty = kit.Kit(ROOT, (), VERSION, "abc-dirty")
    pins = read_pins(LOCKS[0].read_text())
    image_ids, models = {"wanwu-gateway:0123456789ab": f"sha256:{'1' * 64}"}, {"photos": "2" * 64}
    return sbom.render(dirty, "2026-01-02T03:04:05+00:00", image_ids, models, pins, {"debian-12": read_stanzas(DEB)})


def test_the_bill_of_materials_lists_each_part_once_with_its_hash() -> None:
    document = json.loads(bill())
    parts = {part["bom-ref"]: part for part in document["components"]}
    assert len(parts) == len(document["components"])
    assert all(part["hashes"] for part in parts.values())
    purl = "pkg:deb/debian/libc%2B%2B@1%3A2%2Bx?arch=amd64&distro=debian-12"
    assert parts[purl]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    pins = {part["purl"] for part in parts.values() if part.get("purl", "").startswith("pkg:pypi/")}
    assert len(pins) == len(read_pins(LOCKS[0].read_text()))
    assert bill() == bill()
