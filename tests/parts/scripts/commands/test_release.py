"""Releasing: what is release_faults, and the tag that comes of it, in a real repository."""

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.commands.release import CHANGELOG, UNRELEASED, read_sections, release
from worker.contract.version import VERSION

KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
GOOD = f"# Changelog\n\n## {UNRELEASED}\n\n## [{VERSION}] - 2026-11-28\n\n### Added\n\n- A thing.\n"


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "n")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "e@e")
    git(tmp_path, "init", "--quiet")
    write(tmp_path, GOOD)
    return tmp_path


def write(root: Path, changelog: str) -> None:
    (root / CHANGELOG).write_text(changelog)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=changelog")


def release_faults(root: Path, version: str = VERSION) -> list[str]:
    with pytest.raises(CommandError) as error:
        release(version, root)
    assert git(root, "tag") == git(root, "tag", "--list", "kept")
    return list(error.value.lines)


def test_a_release_is_tagged_with_its_section_of_the_changelog(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release(VERSION, checkout)
    assert git(checkout, "rev-parse", f"v{VERSION}^{{commit}}") == git(checkout, "rev-parse", "HEAD")
    message = git(checkout, "tag", "--list", "--format=%(contents)", f"v{VERSION}")
    assert message == f"Wanwu {VERSION}\n\n### Added\n\n- A thing."
    assert capsys.readouterr().out.startswith(f"tagged v{VERSION}; ")
    with pytest.raises(CommandError) as error:
        release(VERSION, checkout)
    assert error.value.lines == (
        f"{checkout}: found the tag v{VERSION}, needed a new version: set it in worker/contract/version.py",
    )


def test_a_version_that_differs_from_the_code_is_refused(checkout: Path) -> None:
    write(checkout, GOOD.replace(VERSION, "99.0.0"))
    remedy = f"set VERSION={VERSION}, or change it in worker/contract/version.py and commit it"
    assert release_faults(checkout, "99.0.0") == [
        f"VERSION: found 99.0.0, needed {VERSION}, the version of the code: {remedy}"
    ]
    assert (
        release_faults(checkout, "")[0]
        == f"VERSION: found nothing, needed {VERSION}, the version of the code: {remedy}"
    )


def test_a_tree_with_changes_or_new_files_is_refused(checkout: Path) -> None:
    (checkout / "new").write_text("")
    assert release_faults(checkout) == [f"{checkout}: found changes (new), needed none: commit them first"]


TODAY = date.today()


@pytest.mark.parametrize(
    ("changelog", "fault"),
    [
        (GOOD.replace(f"## {UNRELEASED}\n\n", ""), f'found "[{VERSION}] - 2026-11-28" first, needed "## {UNRELEASED}"'),
        (GOOD.replace(UNRELEASED, f"{UNRELEASED}\n\n- More."), f"found entries under {UNRELEASED}, needed none"),
        (f"## {UNRELEASED}\n", f'found no section for {VERSION}, needed "## [{VERSION}] - {TODAY}"'),
        (GOOD.replace("- A thing.", ""), f"found no entry under {VERSION}, needed one"),
        (GOOD.replace(" - 2026-11-28", ""), f'found "[{VERSION}]", needed "[{VERSION}] - {TODAY}"'),
        (GOOD.replace("11-28", "11-31"), f'found "[{VERSION}] - 2026-11-31", needed "[{VERSION}] - {TODAY}"'),
    ],
)
def test_a_changelog_without_the_release_is_refused(checkout: Path, changelog: str, fault: str) -> None:
    write(checkout, changelog)
    (line,) = release_faults(checkout)
    assert line.startswith(f"{CHANGELOG}: {fault}: ")


def test_all_faults_are_reported_at_once(checkout: Path) -> None:
    write(checkout, "# Changelog\n")
    (checkout / "new").write_text("")
    assert len(release_faults(checkout, "9")) == 4


def test_the_changelog_has_the_form_that_a_release_needs() -> None:
    sections = read_sections((ROOT / CHANGELOG).read_text(encoding="utf-8"))
    assert next(iter(sections)) == UNRELEASED
    for title, text in sections.items():
        assert title == UNRELEASED or re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title), title
        kinds = re.findall(r"^### (.+)$", text, re.MULTILINE)
        assert set(kinds) <= KINDS
        assert len(kinds) == len(set(kinds))
        assert not text or text.startswith("### ")
