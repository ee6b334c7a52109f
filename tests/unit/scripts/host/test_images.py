"""The images' tags, which depend on their content, and the arguments of a build."""

import re
import shutil
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.host import images
from scripts.host.images import BASE, GATEWAY, SECRETS, WORKERS, Image, build_arguments, worker_image
from worker.contract.engines import ENGINES
from worker.contract.version import VERSION

ALL = (GATEWAY, *WORKERS.values())
OWN = ["--build-arg", f"BASE={BASE}", "--build-arg", f"VERSION={VERSION}"]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the images' sources that a test may change."""
    for folder in ("worker", "nginx"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.setattr(images, "ROOT", tmp_path)
    return tmp_path


def references() -> dict[str, str]:
    return {image.repository: image.reference for image in ALL}


def changed(before: dict[str, str]) -> set[str]:
    """Return the targets of the images whose references have changed."""
    return {name.rpartition("-")[2] for name, reference in references().items() if reference != before[name]}


def test_a_reference_is_the_repository_and_twelve_hex_digits() -> None:
    names = references()
    assert list(names) == ["wanwu-gateway", "wanwu-worker-prepared", "wanwu-worker-torch", "wanwu-worker-cuda"]
    assert all(re.fullmatch(rf"{name}:[0-9a-f]{{12}}", reference) for name, reference in names.items())


def test_a_copy_of_the_tree_has_the_same_references(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = references()
    monkeypatch.undo()
    assert references() == here


@pytest.mark.parametrize(
    ("file", "targets"),
    [
        ("nginx/nginx.conf", {"gateway"}),
        ("nginx/Dockerfile", {"gateway"}),
        ("worker/app.py", {"prepared", "torch", "cuda"}),
        ("worker/requirements/base.txt", {"prepared", "torch", "cuda"}),
        ("worker/Dockerfile", {"prepared", "torch", "cuda"}),
        ("nginx/web/index.html", {"gateway"}),
    ],
)
def test_one_changed_byte_changes_the_tags_of_the_images_with_it(tree: Path, file: str, targets: set[str]) -> None:
    before = references()
    content = (tree / file).read_bytes()
    (tree / file).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert changed(before) == targets
    (tree / file).write_bytes(content)
    assert changed(before) == set()


def test_added_moved_and_removed_files_change_tags(tree: Path) -> None:
    names = [references()]
    (tree / "nginx/new.conf").write_text("")
    names.append(references())
    (tree / "nginx/new.conf").rename(tree / "nginx/newer.conf")
    names.append(references())
    assert len({name["wanwu-gateway"] for name in names}) == 3
    (tree / "nginx/newer.conf").unlink()
    assert references() == names[0]


def test_files_outside_images_change_no_tag(tree: Path) -> None:
    before = references()
    for name in (
        "worker/photos/model.xml",
        "worker/__pycache__/app.pyc",
        "nginx/gate/__pycache__/loop.pyc",
        "README.md",
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("changed")
    (tree / "worker/app.py").touch()
    assert changed(before) == set()


@pytest.mark.parametrize("image", ALL, ids=lambda image: image.repository)
def test_the_tag_depends_on_everything_the_dockerfile_copies(image: Image) -> None:
    text = (ROOT / image.dockerfile).read_text()
    copies = [line.split()[1:] for line in re.findall(r"^COPY .*", text, re.MULTILINE)]
    sources = [
        word
        for words in copies
        if not any(word.startswith("--from") for word in words) and "<<'END'" not in words
        for word in words[:-1]
        if not word.startswith("--")
    ]
    assert sources
    # The lists pin the wheels by hash, so their names add nothing.
    outside = [name for name in sources if not name.startswith(tuple(f"{folder}/" for folder in image.sources))]
    assert set(outside) - set(image.sources) <= {"wheelhouse*"}
    assert image.dockerfile.startswith(f"{image.sources[0]}/")


def test_torch_has_one_image_for_cpus_and_one_for_gpus() -> None:
    chosen = {(name, gpu): worker_image(one, gpu).target for name, one in ENGINES.items() for gpu in (False, True)}
    assert chosen == {
        ("openvino", False): "prepared",
        ("openvino", True): "prepared",
        ("onnxruntime", False): "prepared",
        ("onnxruntime", True): "prepared",
        ("torch", False): "torch",
        ("torch", True): "cuda",
    }


def test_a_new_version_changes_all_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    before = references()
    monkeypatch.setattr(images, "VERSION", "99.0.0")
    assert changed(before) == {image.repository.rpartition("-")[2] for image in ALL}


def test_a_build_has_only_base_and_version_without_site_settings() -> None:
    assert build_arguments({"HOME": "/root"}) == OWN


def test_proxies_are_arguments_without_value_and_other_settings_secrets() -> None:
    environ = {"https_proxy": "http://user:password@proxy", "PIP_CONFIG_FILE": "/etc/pip.conf", "PIP_CERT": ""}
    assert build_arguments(environ)[len(OWN) :] == [
        "--build-arg", "https_proxy", "--secret", "id=pip.conf,src=/etc/pip.conf",
    ]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS.values())
def test_every_secret_is_used_by_a_dockerfile(secret: str) -> None:
    assert any(f"--mount=type=secret,id={secret}" in (ROOT / image.dockerfile).read_text() for image in ALL)
