"""`make logs`: show the end of every log."""

from dataclasses import dataclass
from typing import Annotated

from scripts.base.options import Flag
from scripts.commands import Command, ServiceOptions
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.run_directory import run_dir


@dataclass(frozen=True)
class Options:
    """How much of the logs to show."""

    lines: Annotated[int, Flag("lines of each log (20)")] = 20
    follow: Annotated[bool, Flag("keep printing as the logs grow")] = False


def run(service: ServiceOptions, options: Options) -> None:
    """Show the logs of the service in the run directory."""
    directory = run_dir(service.run_dir)
    runtime = choose(service.runtime, directory, count_servers(service.cluster))
    runtime.follow_logs(directory, options.lines, options.follow)


COMMAND = Command("show the end of every log", Options, run)
