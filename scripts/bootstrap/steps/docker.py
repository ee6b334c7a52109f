"""Tell Docker of this server's slots, and start it, or restart it if its configuration changed."""

import json
from collections.abc import Iterator

from scripts.bootstrap import engine, places
from scripts.bootstrap.checks.daemon import daemon_text
from scripts.bootstrap.executor import Change, Step
from scripts.bootstrap.files import says, write
from scripts.bootstrap.machine import docker_answers, text_of
from scripts.bootstrap.server import Server
from scripts.bootstrap.steps.slots import slots_text


def changes(server: Server) -> Iterator[Change]:
    slots = slots_text(server)
    outdated = not slots or not says(places.DAEMON_JSON, _text(slots, server.nvidia))
    if outdated:
        yield Change(f"write this server's slots into {places.DAEMON_JSON}", lambda: _write(server))
    if not docker_answers():
        yield Change("start Docker", lambda: engine.start(server.record))
    elif outdated or server.packages.engine or places.RESTART.exists():
        yield Change("restart Docker", lambda: engine.restart(server.record))


def _text(slots: str, nvidia: bool) -> str:
    return daemon_text(text_of(places.DAEMON_JSON), json.loads(slots), nvidia)


def _write(server: Server) -> None:
    text = _text(text_of(places.SLOTS), server.nvidia)
    engine.remember(server.record)
    places.RESTART.touch()
    write(server.record, places.DAEMON_JSON, text)


STEP = Step(changes)
