"""A bundle, made by the machine's own engine and apt; tests/cluster/init installs its packages without a network."""

import json
import os
import signal
import subprocess
import sys
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


def command(out: Path, systems: str, wheels: str, *more: str) -> list[str]:
    chosen = ["--systems", systems, "--wheels", wheels, "--sign-key", str(out.with_name("key"))]
    return [sys.executable, "-m", "scripts", "bundle", *chosen, "--out", str(out), *more]


def made(out: Path, *more: str) -> str:
    done = subprocess.run(command(out, SYSTEM, "teach", *more), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def bundle(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for one system, whose making was killed in the middle of an image, and then repeated."""
    out = tmp_path_factory.mktemp("bundle") / "bundle"
    make_key(out.with_name("key"))
    with subprocess.Popen(
        command(out, "none", "none"), cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    ) as making:
        draft = out / layout.WORK
        until("an image is half saved", lambda: making.poll() is not None or any(draft.glob("*.tar.gz")), 300)
        assert making.poll() is None
        os.killpg(making.pid, signal.SIGKILL)
    assert not (out / layout.SUMS).exists()
    made(out)
    return out


def test_a_bundle_is_whole_though_its_making_was_killed(bundle: Path) -> None:
    verify(bundle, signer(bundle))
    assert {path.name for path in bundle.iterdir()} == layout.PARTS - {layout.WORK}
    system = json.loads((bundle / layout.MANIFEST).read_text())["systems"][SYSTEM]
    (engine,) = (bundle / layout.PACKAGES / SYSTEM).glob("docker.io_*.deb")
    shown = subprocess.run(["dpkg-deb", "--field", engine, "Version"], check=True, capture_output=True, text=True)
    assert system == {"packages": f"{layout.PACKAGES}/{SYSTEM}", "docker": shown.stdout.strip()}


def test_the_images_ids_are_the_engines(bundle: Path) -> None:
    listed = json.loads((bundle / layout.MANIFEST).read_text())["images"]
    assert {image["reference"] for image in listed} == {
        images.GATEWAY.reference,
        images.WORKERS[images.PREPARED].reference,
    }
    for image in listed:
        inspected = docker.run(["image", "inspect", "--format", "{{.Id}}", image["reference"]])
        assert inspected.strip() == image["id"]
        assert image["reference"] in docker.run(["load", "--input", str(bundle / image["file"])])


def test_a_second_run_makes_nothing_anew(bundle: Path) -> None:
    parts = ("images/", "models/photos/", "packages/", "wheels/")
    kept = [bundle / name for name in layout.files(bundle) if name.startswith(parts)]
    before = {path: path.stat().st_mtime_ns for path in kept if path.name != "Packages"}
    assert "is already there" in made(bundle)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    verify(bundle, signer(bundle))


def test_a_bundle_that_extends_another_has_only_what_changed(bundle: Path) -> None:
    new = bundle.with_name("new")
    said = made(new, "--base", str(bundle)).splitlines()
    assert {path.name for path in new.iterdir()} == {layout.MANIFEST, layout.SBOM, layout.SUMS, layout.SIGNATURE}
    assert [line for line in said if line.startswith("it has 2 of ")]
    assert said[-1].startswith(f"signed by {signer(bundle)}: ")
    verify(new, signer(bundle), bundle)
    verify(bundle, signer(bundle))
