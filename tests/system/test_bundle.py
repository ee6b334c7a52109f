"""A bundle, made by the machine's own engine and apt; tests/bootstrap installs its packages without a network."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.bundle import layout
from scripts.bundle.signing import signer
from scripts.bundle.verify import verify
from scripts.cluster.config import ROOT
from scripts.host import docker, images
from tests.bundles import make_key
from tests.wait import until

SYSTEM = "debian-12"
NONE = "none"
DOWNLOADED = re.compile(r"^   \d+/\d+ ", re.MULTILINE)  # a package, in what `make bundle` prints


def command(out: Path, systems: str, wheels: str, *more: str) -> list[str]:
    chosen = ["--systems", systems, "--wheels", wheels, "--sign-key", str(out.with_name("key"))]
    return [sys.executable, "-m", "scripts", "bundle", *chosen, "--out", str(out), *more]


def made(out: Path, systems: str, wheels: str, *more: str) -> str:
    done = subprocess.run(command(out, systems, wheels, *more), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def times(paths: list[Path]) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in paths}


@dataclass(frozen=True)
class Repeated:
    """A bundle for one system, whose making was killed in the middle of its second image, and then repeated.

    `kept` is the image that was finished before, and when.
    """

    bundle: Path
    kept: dict[Path, int]
    said: str


@pytest.fixture(scope="module")
def repeated(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Repeated:
    out = tmp_path_factory.mktemp("bundle") / "bundle"
    make_key(out.with_name("key"))
    with subprocess.Popen(
        command(out, NONE, NONE), cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    ) as making:

        def is_in_second_image() -> bool:
            finished, drafts = (list(folder.glob("*.tar.gz")) for folder in (out / layout.IMAGES, out / layout.WORK))
            return making.poll() is not None or (len(finished) == 1 and len(drafts) == 1)

        until("the second image is half saved", is_in_second_image, 600)
        assert making.poll() is None
        os.killpg(making.pid, signal.SIGKILL)
    assert not (out / layout.SUMS).exists()
    kept = times(list((out / layout.IMAGES).iterdir()))
    return Repeated(out, kept, made(out, SYSTEM, "teach"))


def test_a_bundle_is_whole_though_its_making_was_killed_and_has_what_was_finished_before(repeated: Repeated) -> None:
    bundle = repeated.bundle
    assert repeated.said.count("is already there") == len(repeated.kept) == 1
    assert times(list(repeated.kept)) == repeated.kept
    verify(bundle, signer(bundle))
    assert {path.name for path in bundle.iterdir()} == layout.PARTS - {layout.WORK}
    system = json.loads((bundle / layout.MANIFEST).read_text())["systems"][SYSTEM]
    (engine,) = (bundle / layout.PACKAGES / SYSTEM).glob("docker.io_*.deb")
    shown = subprocess.run(["dpkg-deb", "--field", engine, "Version"], check=True, capture_output=True, text=True)
    assert system == {"packages": f"{layout.PACKAGES}/{SYSTEM}", "docker": shown.stdout.strip()}


def test_the_images_ids_are_the_engines(repeated: Repeated) -> None:
    listed = json.loads((repeated.bundle / layout.MANIFEST).read_text())["images"]
    assert {image["reference"] for image in listed} == {
        images.GATEWAY.reference,
        images.WORKERS["prepared"].reference,
    }
    for image in listed:
        inspected = docker.run(["image", "inspect", "--format", "{{.Id}}", image["reference"]])
        assert inspected.strip() == image["id"]
        assert image["reference"] in docker.run(["load", "--input", str(repeated.bundle / image["file"])])


def test_a_bundle_that_extends_another_makes_nothing_anew_and_has_only_what_changed(repeated: Repeated) -> None:
    bundle, new = repeated.bundle, repeated.bundle.with_name("new")
    before = times([bundle / name for name in layout.files(bundle)])
    said = made(new, SYSTEM, "teach", "--base", str(bundle))
    assert DOWNLOADED.search(repeated.said)
    assert not DOWNLOADED.search(said)
    assert "wheels to download" in repeated.said
    assert "wheels to download" not in said
    assert said.count("is already there") == 3  # two images and a model
    assert {path.name for path in new.iterdir()} == {layout.MANIFEST, layout.SBOM, layout.SUMS, layout.SIGNATURE}
    assert [line for line in said.splitlines() if line.startswith("it has 2 of ")]
    assert said.splitlines()[-1].startswith(f"signed by {signer(bundle)}: ")
    assert times(list(before)) == before
    verify(new, signer(bundle), bundle)
