"""Write what this server's hardware is, and the slots that the kit makes of it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.files import says, write
from scripts.bootstrap.machine import Result, reason, run
from scripts.bootstrap.server import Server
from scripts.bootstrap.survey.bundle import cluster_file
from scripts.bootstrap.survey.docker import kit_python

HARDWARE = "from scripts.cluster.hardware import read_hardware; print(read_hardware().to_json())"
IN_KIT = 'cd "$0" && exec "$@"'


def changes(server: Server) -> Iterator[Change]:
    for path in (places.HARDWARE, places.SLOTS):
        found = _of_kit(server, path)
        if found.returncode:  # as in a dry run, where neither the kit nor its Python have come
            yield Change(f"write {path}", partial(_refuse, path, found))
        elif not says(path, found.stdout):
            yield Change(f"write {path}", partial(write, server.record, path, found.stdout))


def slots_text(server: Server) -> str:
    """Return the text of slots.json; "" before the kit can tell."""
    found = _of_kit(server, places.SLOTS)
    return "" if found.returncode else found.stdout


def _refuse(path: Path, asked: Result) -> None:
    why = reason(asked).removeprefix("!! ")
    raise CommandError(f"the kit could not determine this server's {path.stem}: {why}")


def _of_kit(server: Server, path: Path) -> Result:
    """Ask the kit that serves for the text of the file; it fails where kit or Python are missing yet."""
    cluster = str(cluster_file(server.options))
    of_slots = ["-m", "scripts", "slots", "--cluster", cluster, "--server", server.name, "--gpu", server.options.gpu]
    arguments = of_slots if path == places.SLOTS else ["-c", HARDWARE]
    # The bytecode of all calls ends with this run: none is left in the kit's folder.
    python = (kit_python() or "python3", "-X", f"pycache_prefix={server.work}/bytecode")
    return run("sh", "-c", IN_KIT, places.KIT, *python, *arguments)


STEP = Step(changes)
