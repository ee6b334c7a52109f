"""`make update`: say which updates of Debian's and Python's packages wait, and apply Debian's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.commands import Command, ServiceOptions
from scripts.host import updates
from scripts.host.updates import Update
from scripts.host.wheelhouse import LOCKS
from scripts.runtimes.choice import choose
from scripts.runtimes.run_directory import run_dir


@dataclass(frozen=True)
class Options:
    """Whether the updates are applied."""

    apply: Annotated[bool, Flag("apply Debian's security updates, one worker at a time")] = False


def run(service: ServiceOptions, options: Options) -> None:
    """Print the updates that wait; with `apply` have the running service go over to those of Debian."""
    directory, cluster = run_dir(service.run_dir), service.load_cluster()
    runtime = choose(service.runtime, directory, len(cluster.servers))
    waiting = [
        update
        for place, find in runtime.updates(cluster, directory).items()
        for update in _print(f"{place}: security updates", find)
    ]
    if _print("Python packages that lists pin: newer versions", lambda: updates.lock_updates(LOCKS)):
        say("   tested as they are pinned: `make lock UPGRADE=NAME` and `make test` in a checkout, then `make up`")
    if waiting and options.apply:
        with service.change("update"):
            runtime.apply_updates(cluster, directory)
    elif waiting:
        say("nothing was changed: `make update APPLY=1` applies Debian's, one worker at a time")


def _print(what: str, find: Callable[[], Sequence[Update]]) -> Sequence[Update]:
    """Print and return what `find` finds; nothing if it cannot know."""
    try:
        found = find()
    except CommandError as error:
        say(f"{what}: unknown: {' '.join(error.lines)}")
        return ()
    say(f"{what}: {len(found) or 'none'}")
    for update in found:
        say(f"   {update}")
    return found


COMMAND = Command("say which updates wait, and apply them", Options, run)
