"""The documents' commands, run as a new user would: in a fresh clone, one after the other.

These are the `sh` blocks of README.md and of compose/reference; a `text` block holds what needs another machine, a
network or much time. tests/unit/test_documents.py holds those against the Makefile. The clone has the environments of
these tests, which take longest to make: test_site.py makes some, by the system's Python.
"""

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from scripts.cluster.config import ROOT
from tests.bootstrap.bundles import link
from tests.commands.services import LONGEST
from tests.service import bare_environment, free_ports

README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "compose/reference").glob("*.md"))]
CAT = ("埃及猫", "Egyptian cat")


def blocks(kind: str, *pages: str) -> list[str]:
    """Return the text of every block of this kind."""
    return [text for page in pages for text in re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)]


def commands() -> list[str]:
    """Return every command line of the `sh` blocks once, without its comment."""
    lines = [line.split("#")[0].strip() for block in blocks("sh", README, *REFERENCE) for line in block.splitlines()]
    return list(dict.fromkeys(lines))


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    """What git would clone, in a folder that any account can read, with the environments of these tests."""
    folder = Path("/tmp") / f"wanwu-clone-{os.getpid()}"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    if (ROOT / "wheelhouse").is_dir():  # CI has filled it by the same command: half a gigabyte less to download
        shutil.copytree(ROOT / "wheelhouse", folder / "wheelhouse", copy_function=link)
    cluster = folder / "compose/cluster.toml"
    text = cluster.read_text().replace("8080", str(free_ports(3)))
    cluster.write_text(text.replace("[limits]", f"[limits]\n{LONGEST}", 1))
    _draw_parts(folder / "parts")
    yield folder
    _make_down(folder)
    shutil.rmtree(folder)


def _draw_parts(folder: Path) -> None:
    """Draw what `make teach` learns: a few images of two classes."""
    for kind, name in enumerate(("螺母_nut", "螺栓_bolt")):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            image = Image.new("RGB", (64, 64), (10 * number, 128, 128))
            draw, box = ImageDraw.Draw(image), (4 + number, 8, 40 + number, 44)
            (draw.ellipse if kind else draw.rectangle)(box, fill=(250, 20 * number, 0))
            image.save(folder / name / f"{number}.png")


def test_the_commands_are_found() -> None:
    assert commands()[0] == "make up"
    assert {"make doctor", "make rollout", "make wheelhouse", "make models"} < set(commands())


def test_every_command_of_the_documents_works_in_a_fresh_clone(clone: Path) -> None:
    port = re.search(r"^port = (\d+)", (clone / "compose/cluster.toml").read_text(), re.MULTILINE).group(1)  # type: ignore[union-attr]
    first, *others = [line.replace("8080", port) for line in commands()]
    printed = _run(first, clone)
    assert f"ready: http://127.0.0.1:{port}/" in printed
    assert _shape(blocks("text", README)[0].replace("8080", port)) <= _shape(printed)
    assert _accounts(clone / "run") == {_expected_account()}
    for line in others:
        printed = _run(line, clone)
        if "cat.jpg" in line and "heat_map" not in line:
            best = json.loads(printed)["predictions"][0]
            shown = json.loads(blocks("json", README)[0])["predictions"][0]
            assert best | {"score": 0} == shown | {"score": 0}
            assert best["score"] == pytest.approx(shown["score"], abs=0.05)
    for kind, program in (("python", [sys.executable, "-"]), ("js", ["node", "--input-type=module", "-"])):
        (text,) = blocks(kind, README)
        done = subprocess.run(program, cwd=clone, input=text.replace("8080", port), capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert all(label in done.stdout for label in CAT)
    _run("make down", clone)
    assert [path.name for path in (clone / "run").iterdir()] == ["logs"]


def _shape(printed: str) -> set[str]:
    """Return the lines of an output without what differs between two machines: figures and the space before them."""
    return {re.sub(r"\d+(\.\d+)?", "N", " ".join(line.split())) for line in printed.splitlines()}


def _make_down(clone: Path) -> None:
    """End what a test that failed has left running; a test that passed has done so itself."""
    subprocess.run(["make", "down"], cwd=clone, capture_output=True, env=bare_environment() | {"RUNTIME": "local"})


def _run(line: str, clone: Path) -> str:
    environ = bare_environment() | {"RUNTIME": "local"}
    environ.pop("VIRTUAL_ENV", None)
    done = subprocess.run(["bash", "-c", line], cwd=clone, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def _accounts(run_dir: Path) -> set[str]:
    """The accounts under which this run directory's processes run."""
    found = set()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"HOME={run_dir}\0".encode() in environ.read_bytes():
                found.add(pwd.getpwuid(environ.parent.stat().st_uid).pw_name)
        except OSError:
            continue
    return found


def _expected_account() -> str:
    return "wanwu" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
