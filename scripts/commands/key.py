"""`make key`: make a key, or list those there are."""

from dataclasses import dataclass
from typing import Annotated

from scripts.base.console import aligned, say, step
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.cluster.config import Cluster
from scripts.cluster.keys import OWN_NAME, Key, changed_keys, keys_file, new_key, read_keys
from scripts.commands import Command, ServiceOptions
from scripts.runtimes.choice import choose
from scripts.runtimes.history import recorded
from scripts.runtimes.run_directory import run_dir

COLUMNS = ("name", "role", "models", "made", "id")


@dataclass(frozen=True)
class Options:
    """Whose key it is, and what it is for."""

    name: Annotated[str, Flag("who gets it; several may have the same name (default: list the keys)", "NAME")] = ""
    include: Annotated[str, Flag("the models it is for, with commas between (default: all)", "NAMES")] = ""
    role: Annotated[str, Flag("client, or admin, who sees the status, too", "ROLE")] = "client"


def run(service: ServiceOptions, options: Options) -> None:
    """Print a new key, the only time that it can be seen; without a name, print a table of all keys."""
    if not options.name:
        return say(_table(service.load_cluster()))
    with recorded(service.run, "key"):
        return _make(service, options)


def _make(service: ServiceOptions, options: Options) -> None:
    cluster = service.load_cluster()
    models = [name.strip() for name in options.include.split(",") if name.strip()]
    served = [model.name for model in cluster.models]
    if unknown := [name for name in models if name not in served]:
        raise CommandError(f"MODELS: found {', '.join(unknown)}, needed some of {', '.join(served)}")
    if options.name == OWN_NAME:
        raise CommandError(f"NAME: found {OWN_NAME}, the name of this kit's own key, needed another: choose one")
    text, key = new_key(options.name, options.role, models)
    with changed_keys(cluster) as keys:
        keys.append(key)
    try:
        publish(service, cluster)
    finally:  # it is kept, whatever becomes of the service
        say(f"\n{text}\n\nkey {key.id} of {key.name} is shown this once; {keys_file(cluster)} keeps its hash")


def publish(service: ServiceOptions, cluster: Cluster) -> None:
    """Have the service, if one runs, know the present keys."""
    directory = run_dir(service.run_dir)
    if not cluster.access.keys:
        return say(f"keys are off: `keys = true` in [access] of {cluster.source} and `make up` ask for them")
    if directory.runtime is None:
        return say("nothing is running here: `make up` starts with the change")
    step("telling the gateway")
    return choose(service.runtime, directory, len(cluster.servers)).publish_keys(cluster, directory)


def _table(cluster: Cluster) -> str:
    served = {model.name for model in cluster.models}

    def row(key: Key) -> tuple[str, ...]:
        models = [name if name in served else f"{name} (not served)" for name in key.models]
        return key.name, key.role, ", ".join(models) or "all", key.created, key.id

    return aligned([COLUMNS, *map(row, read_keys(cluster))])


COMMAND = Command("make a key of a client or an admin, or list the keys", Options, run)
