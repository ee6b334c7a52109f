"""Changes and steps, and the one place that makes changes, prints them for a dry run, and undoes them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from scripts.base.console import say
from scripts.bootstrap.machine import stop_if_asked
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Server

Undo = Callable[[Record, str], None]


@dataclass(frozen=True)
class Change:
    """One change: what it is, for people, and what makes it."""

    description: str
    make: Callable[[], None]


@dataclass(frozen=True)
class Step:
    """What a step changes, where that is needed, and how each kind that it records is undone.

    A change is made before the next one is asked for. `undo` gets the record and the object of the recorded change.
    """

    changes: Callable[[Server], Iterator[Change]]
    undo: Mapping[str, Undo] = field(default_factory=dict)


@dataclass
class Executor:
    """Makes changes, or only prints them in a dry run; `count` is how many, `current` the last one."""

    record: Record
    dry_run: bool
    count: int = 0
    current: str = "this"

    def carry_out(self, step: Step, server: Server) -> None:
        for change in step.changes(server):
            stop_if_asked()
            self.count += 1
            self.current = change.description
            say(f"-> {change.description}")
            if not self.dry_run:
                change.make()

    def undo_to(self, mark: int, undo: Mapping[str, Undo]) -> None:
        """Undo the recorded changes, the last one first, until `mark` are left."""
        entries = self.record.entries()
        for kind, what in reversed(entries[mark:]):
            say(f"<- {kind} {what}")
            if not self.dry_run:
                undo[kind](self.record, what)
                self.record.drop_last()
        if entries and not self.dry_run:
            self.record.remove_if_empty()
