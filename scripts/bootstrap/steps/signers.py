"""Keep who may sign bundles for this server, so that the next bundle needs no word."""

from collections.abc import Iterator
from pathlib import Path

from scripts.bootstrap import places
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.files import put
from scripts.bootstrap.machine import text_of
from scripts.bootstrap.server import Server


def changes(server: Server) -> Iterator[Change]:
    given = server.options.signers
    if given:
        told = text_of(Path(given)) if Path(given).is_file() else given
        yield from put(server.record, places.SIGNERS, signers_text(text_of(places.SIGNERS), told))


def signers_text(kept: str, told: str) -> str:
    """Return the lines that are kept, and those of `told` that are not among them."""
    lines = kept.splitlines()
    return "\n".join([*lines, *(line for line in told.splitlines() if line not in lines)])


STEP = Step(changes)
