"""The images' tags, which depend on their content, and the arguments of a build."""

import re
import shutil
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.host import images
from scripts.host.images import BASE, GATEWAY, SECRETS, WORKERS, Image, build_arguments, choose_tag, worker_image
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


def digests() -> dict[str, str]:
    """Return the digest of each image's sources by its repository."""
    return {image.repository: image.digest for image in ALL}


def changed(before: dict[str, str]) -> set[str]:
    """Return the targets of the images whose sources have changed."""
    return {name.rpartition("-")[2] for name, digest in digests().items() if digest != before[name]}


def test_a_digest_is_twelve_hex_digits() -> None:
    names = digests()
    assert list(names) == ["wanwu-gateway", "wanwu-worker-prepared", "wanwu-worker-torch", "wanwu-worker-cuda"]
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in names.values())


@pytest.mark.parametrize(
    ("base", "tags", "chosen"),
    [
        ("", [], "new"),
        ("b2", [], "new-b2"),
        ("b2", ["old-b2", "latest", "new", "new-b2"], "new-b2"),
        ("b2-20260101", ["new-b2", "new-b2-20260101"], "new-b2-20260101"),
        # Another base: another tag, which `ensure` builds; until it has, the image of before is the one to run.
        ("b2", ["new-b1", "old-b2"], "new-b1"),
        ("b2-20260201", ["new-b2-20260101", "new-b2"], "new-b2-20260101"),
        # Images that were loaded, without their base: the last update, or else the newest.
        ("", ["new-b2", "new-b1"], "new-b2"),
        ("", ["new-b2", "new-b1-20260101"], "new-b1-20260101"),
    ],
)
def test_the_image_to_run_is_that_of_the_present_base_if_there_is_one(base: str, tags: list[str], chosen: str) -> None:
    assert choose_tag("new", base, tags) == chosen


def test_a_copy_of_the_tree_has_the_same_digests(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = digests()
    monkeypatch.undo()
    assert digests() == here


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
    before = digests()
    content = (tree / file).read_bytes()
    (tree / file).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert changed(before) == targets
    (tree / file).write_bytes(content)
    assert changed(before) == set()


def test_added_moved_and_removed_files_change_tags(tree: Path) -> None:
    names = [digests()]
    (tree / "nginx/new.conf").write_text("")
    names.append(digests())
    (tree / "nginx/new.conf").rename(tree / "nginx/newer.conf")
    names.append(digests())
    assert len({name["wanwu-gateway"] for name in names}) == 3
    (tree / "nginx/newer.conf").unlink()
    assert digests() == names[0]


def test_files_outside_images_change_no_tag(tree: Path) -> None:
    before = digests()
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
    named = ("torch", "openvino", "onnxruntime")
    chosen = {(name, gpu): worker_image(ENGINES[name], gpu).target for name in named for gpu in (False, True)}
    assert chosen == {
        ("openvino", False): "prepared",
        ("openvino", True): "prepared",
        ("onnxruntime", False): "prepared",
        ("onnxruntime", True): "prepared",
        ("torch", False): "torch",
        ("torch", True): "cuda",
    }


def test_a_new_version_changes_all_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests()
    monkeypatch.setattr(images, "VERSION", "99.0.0")
    assert changed(before) == {image.repository.rpartition("-")[2] for image in ALL}


def test_a_build_has_only_base_and_version_without_site_settings() -> None:
    assert build_arguments(environ={"HOME": "/root"}) == OWN


def test_proxies_are_arguments_without_value_and_other_settings_secrets() -> None:
    environ = {"https_proxy": "http://user:password@proxy", "PIP_CONFIG_FILE": "/etc/pip.conf", "PIP_CERT": ""}
    assert build_arguments(environ=environ)[len(OWN) :] == [
        "--build-arg", "https_proxy", "--secret", "id=pip.conf,src=/etc/pip.conf",
    ]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS.values())
def test_every_secret_is_used_by_a_dockerfile(secret: str) -> None:
    assert any(f"--mount=type=secret,id={secret}" in (ROOT / image.dockerfile).read_text() for image in ALL)
