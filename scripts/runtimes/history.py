"""What changed a service, and the states that it can go back to: a folder beside the run directory.

It outlives `make down`. Reading and rendering are pure; `History` writes.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from scripts.base.console import warn
from scripts.base.errors import CommandError
from scripts.base.lock import user
from scripts.runtimes.run_directory import RunDir
from worker.contract.files import write_atomically

CHANGES, PRESENT, PREVIOUS, REPLACED = "changes.jsonl", "present.json", "previous.json", "cluster.toml.replaced"
ON_THE_WAY = "on-the-way.json"
OK, INTERRUPTED = "ok", "interrupted"
UNFINISHED = "did not end: it still runs, or was killed"


@dataclass(frozen=True)
class Change:
    """One command that changed a service, and how it ended."""

    at: str  # when it began: ISO 8601, UTC
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
    """Return the changes in `text`, the oldest first, without lines that a full disk or another release spoilt.

    A command writes a line when it begins and another when it ends, which takes the first one's place.
    """
    changes: list[Change] = []
    for line in text.splitlines():
        with suppress(ValueError, TypeError):
            change = Change(**json.loads(line))
            began = replace(change, outcome=UNFINISHED)
            if change != began and began in changes:  # others may have begun and ended meanwhile
                changes.remove(began)
            changes.append(change)
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
        self.run, self.folder = run, run.history

    @property
    def changes(self) -> list[Change]:
        return read_changes(self._text(CHANGES))

    @property
    def present(self) -> Saved | None:
        """Return the state that served last."""
        return read_saved(self._text(PRESENT))

    @property
    def previous(self) -> Saved | None:
        """Return the state before it."""
        return read_saved(self._text(PREVIOUS))

    @property
    def texts(self) -> list[str]:
        """Return the texts of the cluster file of which what runs goes by one: of the present state and, after commands
        that were killed or failed, of those that they were on the way to.
        """
        present = self.present
        with suppress(ValueError, TypeError):
            return [str(text) for text in json.loads(self._text(ON_THE_WAY))]
        return [present.text] if present and present.text is not None else []

    def leave_for(self, text: str, running: bool = True) -> None:
        """Note, before anything is changed, that what runs will go by `text`; if nothing is `running`, by that alone.

        Do nothing where that cannot be written.
        """
        known = self.texts if running else []
        if text not in known:
            with suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                write_atomically(self.folder / ON_THE_WAY, json.dumps([*known, text], ensure_ascii=False) + "\n")

    def add(self, change: Change) -> None:
        """Append `change`; do nothing where no service was, or where the caller may not write."""
        with suppress(OSError):
            if self.run.runtime:
                self.folder.mkdir(exist_ok=True)
            if self.folder.is_dir():
                with (self.folder / CHANGES).open("a", encoding="utf-8") as file:
                    file.write(render_change(change))

    def keep(self, saved: Saved, before: Saved | None = None, renewed: bool = False) -> None:
        """Make `saved` the present state and, unless it is the same or `renewed`, the present one the previous one.

        `before` ran before it, if nothing was known of that. Warn if the folder cannot be written.
        """
        present = self.present or before
        try:
            self.folder.mkdir(exist_ok=True)
            if present and present.files != saved.files and not renewed:
                write_atomically(self.folder / PREVIOUS, render_saved(present))
            write_atomically(self.folder / PRESENT, render_saved(saved))
            (self.folder / ON_THE_WAY).unlink(missing_ok=True)
        except OSError as error:
            warn(f"{error.filename}: {error.strerror}: `make rollback` does not know this state")

    def keep_text(self, text: str) -> Path:
        """Keep the text of a cluster file that is being replaced; return where, or raise CommandError."""
        try:
            write_atomically(self.folder / REPLACED, text)
        except OSError as error:
            raise CommandError(
                f"{error.filename}: {error.strerror}: needed to keep there the text of the cluster file"
            ) from error
        return self.folder / REPLACED

    def _text(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""


@contextmanager
def recorded(run: RunDir, command: str) -> Iterator[None]:
    """Record `command` before the body, so that even a killed one leaves its line, and how it ended."""
    began, outcome = Change(now(), command, user(), UNFINISHED), "failed"
    History(run).add(began)
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
        History(run).add(replace(began, outcome=outcome))
