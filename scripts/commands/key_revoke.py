"""`make key-revoke`: end the keys of a name, or one of them."""

from dataclasses import dataclass
from typing import Annotated

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.cluster.keys import changed_keys, ensure_own_key
from scripts.commands import Command, ServiceOptions
from scripts.commands.key import publish
from scripts.runtimes.history import recorded


@dataclass(frozen=True)
class Options:
    """Which keys to revoke."""

    name: Annotated[str, Flag("whose keys", "NAME")] = ""
    id: Annotated[str, Flag("only the key with this id, which `make key` lists", "ID")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Revoke the keys; a running service refuses them at once, even while it is changed, and loses no other request."""
    with recorded(service.run, "key-revoke"):
        _revoke(service, options)


def _revoke(service: ServiceOptions, options: Options) -> None:
    cluster = service.load_cluster()
    with changed_keys(cluster) as keys:
        ended = [key for key in keys if key.name == options.name and options.id in ("", key.id)]
        if not ended:
            names = ", ".join(sorted({key.name for key in keys})) or "none"
            known = ", ".join(key.id for key in keys if key.name == options.name)
            found = f"ID: found {options.id!r}, needed one of {known}" if known else ""
            raise CommandError(found or f"NAME: found {options.name!r}, needed the name of a key: there are {names}")
        keys[:] = [key for key in keys if key not in ended]
    ensure_own_key(cluster)
    publish(service, cluster)
    say(f"revoked: {', '.join(f'{key.id} of {key.name}' for key in ended)}")


COMMAND = Command("revoke the keys of a name, or one of them", Options, run)
