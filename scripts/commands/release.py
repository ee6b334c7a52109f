"""`make release`: check that this checkout is ready for release, report all faults at once, and tag it."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.cluster.config import ROOT
from scripts.commands import Command, ServiceOptions
from worker.contract.version import VERSION

CHANGELOG = "CHANGELOG.md"
UNRELEASED = "[Unreleased]"
ENTRY = re.compile(r"^- \S", re.MULTILINE)


@dataclass(frozen=True)
class Options:
    """Which version to release."""

    version: Annotated[str, Flag("the version of the code", "X.Y.Z")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Check and tag this checkout."""
    release(options.version)


def release(version: str, root: Path = ROOT) -> None:
    """Tag HEAD of the checkout at `root` as `version`, with its changelog section; raise CommandError for faults."""
    sections = read_sections((root / CHANGELOG).read_text(encoding="utf-8"))
    if faults := [
        *_version_faults(version),
        *changelog_faults(sections, version or VERSION),
        *_tree_faults(root, version),
    ]:
        raise CommandError(*faults)
    notes = next(text for title, text in sections.items() if title.startswith(f"[{version}]"))
    message = f"Wanwu {version}\n\n{notes}"
    # Git's default cleanup would delete the headings of the notes as comments.
    _git(root, "tag", "--annotate", "--cleanup=whitespace", "--message", message, tag(version))
    say(f"tagged {tag(version)}; next: git push origin {tag(version)}, and `make bundle` in a clone of it")


def tag(version: str) -> str:
    return f"v{version}"


def read_sections(changelog: str) -> dict[str, str]:
    """Return the text of each `## ` section by its heading, in the order of the file."""
    _, *parts = re.split(r"^## ", changelog, flags=re.MULTILINE)
    return {title.strip(): text.strip() for title, _, text in (part.partition("\n") for part in parts)}


def changelog_faults(sections: dict[str, str], version: str) -> Iterator[str]:
    """Yield the faults of a changelog with `sections` that prevent the release of `version`."""
    first = next(iter(sections), "nothing")
    if first != UNRELEASED:
        yield f'{CHANGELOG}: found "{first}" first, needed "## {UNRELEASED}": move that section to the top'
    elif ENTRY.search(sections[UNRELEASED]):
        yield f"{CHANGELOG}: found entries under {UNRELEASED}, needed none: move them to the section of {version}"
    titles = [title for title in sections if title.startswith(f"[{version}]")]
    if not titles:
        yield f'{CHANGELOG}: found no section for {version}, needed "## [{version}] - {date.today()}": add it'
        return
    if not _has_date(titles[0].removeprefix(f"[{version}]")):
        yield f'{CHANGELOG}: found "{titles[0]}", needed "[{version}] - {date.today()}": add the date of the release'
    if not ENTRY.search(sections[titles[0]]):
        yield f"{CHANGELOG}: found no entry under {version}, needed one: list what users notice"


def _has_date(text: str) -> bool:
    try:
        return text.startswith(" - ") and bool(date.fromisoformat(text.removeprefix(" - ")))
    except ValueError:
        return False


def _version_faults(version: str) -> Iterator[str]:
    if version != VERSION:
        yield (
            f"VERSION: found {version or 'nothing'}, needed {VERSION}, the version of the code: "
            f"set VERSION={VERSION}, or change it in worker/contract/version.py and commit it"
        )


def _tree_faults(root: Path, version: str) -> Iterator[str]:
    if changed := _git(root, "status", "--porcelain").splitlines():
        files = ", ".join(line[3:] for line in changed[:3]) + (", ..." if len(changed) > 3 else "")
        yield f"{root}: found changes ({files}), needed none: commit them first"
    if _git(root, "tag", "--list", tag(version)):
        yield f"{root}: found the tag {tag(version)}, needed a new version: set it in worker/contract/version.py"


def _git(root: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if result.returncode:
        raise CommandError(f"{root}: git {arguments[0]} failed:", *result.stderr.strip().splitlines())
    return result.stdout.strip("\n")


COMMAND = Command("check that this checkout is ready for release, and tag it", Options, run)
