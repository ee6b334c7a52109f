"""`make teach-page`: let the owner teach on the page, from this machine, until Ctrl-C."""

import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.commands import Command, ServiceOptions
from scripts.host.environments import TEACH
from scripts.host.venv import ensure
from scripts.models.model_store import MODELS
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.local.runtime import LocalRuntime
from scripts.runtimes.run_directory import RunDir, run_dir
from scripts.teach_page.server import Server
from scripts.teach_page.studio import Place, Studio

MEGABYTE = 1 << 20  # as Nginx counts


@dataclass(frozen=True)
class TeachPageOptions:
    """Where the model folders are."""

    models: Annotated[Path, Flag("the folder of the model folders")] = MODELS


def run(service: ServiceOptions, options: TeachPageOptions) -> None:
    """Serve the Teach view beside the service that runs here; return once that is stopped, or after Ctrl-C."""
    directory = run_dir(service.run_dir)
    _require_local(service, directory)
    cluster = service.load_cluster()
    ensure(TEACH, nvidia=False)  # now, rather than while the first user waits
    place = Place(service.cluster.absolute(), directory.path, options.models.absolute(), LocalRuntime.name)
    key = secrets.token_urlsafe(24)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    studio = Studio(place)
    try:
        with _server(directory, studio, key, int(cluster.settings["max_body_mb"]) * MEGABYTE) as server:
            step("teaching on the page, from this machine alone, until Ctrl-C. Open this address, which holds a key:")
            say(f"\n  http://127.0.0.1:{cluster.port}/#teach/{key}\n")
            server.serve()
            say("the service was stopped, and this with it")
    except KeyboardInterrupt:
        say("teaching on the page has ended")
    finally:
        studio.close()


def _require_local(service: ServiceOptions, directory: RunDir) -> None:
    """Raise CommandError unless the local runtime serves from `directory`."""
    runtime = choose(service.runtime, directory, count_servers(service.cluster))
    if runtime.name != LocalRuntime.name:
        raise CommandError(
            f"found the {runtime.name} runtime, whose Nginx runs in a container and cannot reach this command, needed "
            "the local one: use `make teach NAME=... IMAGES=DIR` and `make use NAME=...`, or `make up RUNTIME=local`"
        )
    if not runtime.is_running(directory):
        raise CommandError(f"{directory.path}: found no service that runs from here, needed one: run `make up` first")


def _server(directory: RunDir, studio: Studio, key: str, max_file_bytes: int) -> Server:
    try:
        return Server(directory.path, studio, key, max_file_bytes)
    except OSError as error:
        raise CommandError(
            f"{directory.path}: {error.strerror}: needed the account that started this service, or root"
        ) from error


COMMAND = Command("let the owner teach on the page, from this machine, until Ctrl-C", TeachPageOptions, run)
