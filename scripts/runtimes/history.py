"""What changed a service, and the states that it can go back to: the folder `history` of a run directory.

`make down` keeps it. Reading and rendering are pure; `History` writes.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.lock import user
from scripts.runtimes.run_directory import HISTORY, RunDir
from worker.contract.files import write_atomically

CHANGES, PRESENT, PREVIOUS, REPLACED = "changes.jsonl", "present.json", "previous.json", "cluster.toml.replaced"
OK, INTERRUPTED = "ok", "interrupted"


@dataclass(frozen=True)
class Change:
    """One command that changed a service, and how it ended."""

    at: str  # ISO 8601, UTC
    command: str
    by: str
    outcome: str


@dataclass(frozen=True)
class Saved:
    """A state that served: all that brings it back, but for secrets, models, code and images, which stay in place.

    `models` are the hashes of the folders by their paths; `text` is that of the cluster file `source`, None if it was
    started by a release that kept none.
    """

    at: str
    runtime: str
    source: str
    text: str | None
    files: Mapping[str, str]
    models: Mapping[str, str]


def render_change(change: Change) -> str:
    return json.dumps(asdict(change), ensure_ascii=False) + "\n"


def read_changes(text: str) -> list[Change]:
    """Return the changes in `text`, the oldest first, without lines that a full disk or another release spoilt."""
    changes = []
    for line in text.splitlines():
        with suppress(ValueError, TypeError):
            changes.append(Change(**json.loads(line)))
    return changes


def render_saved(saved: Saved) -> str:
    return json.dumps(asdict(saved), ensure_ascii=False, indent=1) + "\n"


def read_saved(text: str) -> Saved | None:
    """Return the state in `text`; None if it is none."""
    try:
        return Saved(**json.loads(text))
    except (ValueError, TypeError):
        return None


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class History:
    """The history of the service in `run`."""

    def __init__(self, run: RunDir) -> None:
        self.run, self.folder = run, run.path / HISTORY

    @property
    def changes(self) -> list[Change]:
        return read_changes(self.run.text(f"{HISTORY}/{CHANGES}"))

    @property
    def present(self) -> Saved | None:
        """Return the state that served last."""
        return read_saved(self.run.text(f"{HISTORY}/{PRESENT}"))

    @property
    def previous(self) -> Saved | None:
        """Return the state before it."""
        return read_saved(self.run.text(f"{HISTORY}/{PREVIOUS}"))

    def add(self, change: Change) -> None:
        """Append `change`; do nothing where no service was, or where the caller may not write."""
        with suppress(OSError):
            if self._is_ours():
                with (self.folder / CHANGES).open("a", encoding="utf-8") as file:
                    file.write(render_change(change))

    def keep(self, saved: Saved, before: Saved | None = None, renewed: bool = False) -> None:
        """Make `saved` the present state and, unless it is the same or `renewed`, the present one the previous one.

        `before` ran before it, if nothing was known of that.
        """
        present = self.present or before
        if not self._is_ours():
            raise CommandError(f"{self.folder}: needed a folder of the account that started this service: remove it")
        if present and present.files != saved.files and not renewed:
            write_atomically(self.folder / PREVIOUS, render_saved(present))
        write_atomically(self.folder / PRESENT, render_saved(saved))

    def keep_text(self, text: str) -> Path:
        """Keep the text of a cluster file that is being replaced; return where."""
        write_atomically(self.folder / REPLACED, text)
        return self.folder / REPLACED

    def _is_ours(self) -> bool:
        """Make the folder where a service is; return whether it is there, and no account of a worker put it there."""
        if self.run.runtime:
            self.folder.mkdir(exist_ok=True)
        if self.folder.is_symlink() or not self.folder.is_dir():
            return False
        return self.folder.stat().st_uid in (0, self.run.path.stat().st_uid)


@contextmanager
def recorded(run: RunDir, command: str) -> Iterator[None]:
    """Record `command` and how the body ended."""
    outcome = "failed"
    try:
        yield
        outcome = OK
    except CommandError as error:
        outcome = f"failed: {error.lines[0]}"
        raise
    except KeyboardInterrupt:
        outcome = INTERRUPTED
        raise
    finally:
        History(run).add(Change(now(), command, user(), outcome))
