"""`make logs`: show the end of every log, or all lines of one request."""

from dataclasses import dataclass
from typing import Annotated

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.commands import Command, ServiceOptions
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.request_lines import check_id, find
from scripts.runtimes.run_directory import RunDir, run_dir
from scripts.runtimes.runtime import Runtime


@dataclass(frozen=True)
class Options:
    """How much of the logs to show."""

    lines: Annotated[int, Flag("lines of each log (20)")] = 20
    follow: Annotated[bool, Flag("keep printing as the logs grow")] = False
    request: Annotated[str, Flag("show only the lines of the request with this id, from all that is kept", "ID")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Show the logs of the service in the run directory."""
    directory = run_dir(service.run_dir)
    runtime = choose(service.runtime, directory, count_servers(service.cluster))
    if options.request:
        _show_request(runtime, directory, options)
    else:
        runtime.follow_logs(directory, options.lines, options.follow)


def _show_request(runtime: Runtime, directory: RunDir, options: Options) -> None:
    check_id(options.request)
    if options.follow:
        raise CommandError("REQUEST: found FOLLOW together with it, needed one of them")
    found = False
    for line in find(runtime.log_lines(directory), options.request):
        found = True
        say(f"{line.log}: {line.text}")
    if not found:
        raise CommandError(
            f"REQUEST: found no line of {options.request} in what is kept of the logs: "
            "needed the request_id of an answer or its header X-Request-ID"
        )


COMMAND = Command("show the end of every log", Options, run)
