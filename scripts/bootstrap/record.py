"""The record of what was changed: one change a line, in order: kind, tab, object.

A change is recorded before it is made, so that even a killed run leaves no unrecorded change. The format is that of
all releases: a server that an earlier one has made a member can be continued and restored by this one.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scripts.bootstrap import places
from worker.contract.files import write_atomically


@dataclass(frozen=True)
class Record:
    """The record in `file`."""

    file: Path

    def entries(self) -> list[tuple[str, str]]:
        """Return the kind and the object of every change that is recorded."""
        try:
            text = self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        pairs = (line.partition("\t") for line in text.splitlines())
        return [(kind, what) for kind, _, what in pairs]

    def of(self, kind: str) -> list[str]:
        return [what for found, what in self.entries() if found == kind]

    def add(self, kind: str, what: str | Path = "") -> None:
        """Write the change to the disk, before it is made."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as record:
            record.write(f"{kind}\t{what}\n")
            record.flush()
            os.fsync(record.fileno())

    def remember(self, kind: str, what: str | Path = "") -> None:
        """Add the change unless it is recorded already."""
        if (kind, str(what)) not in self.entries():
            self.add(kind, what)

    def drop_last(self) -> None:
        """Forget the last change, which was undone."""
        write_atomically(self.file, "".join(f"{kind}\t{what}\n" for kind, what in self.entries()[:-1]))

    def remove_if_empty(self) -> None:
        """Remove the folder of a record that has no change left, and what else this script kept there."""
        if not self.entries():
            shutil.rmtree(places.STATE, ignore_errors=True)
            with suppress(OSError):  # it may hold models
                places.STATE.parent.rmdir()
