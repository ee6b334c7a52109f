"""`python3 -m scripts COMMAND`: what the Makefile's targets run."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts import doctor, status, wheelhouse
from scripts.ask import show_answer
from scripts.bench import containers, startup
from scripts.checks import run_tests
from scripts.cluster import ROOT, load_cluster
from scripts.console import say, warn
from scripts.refusal import Refusal
from scripts.rundir import run_dir
from scripts.runtime import choose
from scripts.site import prepare


def up(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    runtime = choose(options.runtime, run)
    site = prepare(load_cluster(options.cluster), run)
    runtime.up(site)
    say(f"\nready: {site.endpoint}/  (web page, and POST /predict)")
    show_answer(site.endpoint, site.models[site.cluster.models[0].name].golden)


def down(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    choose(options.runtime, run).down(run)


def show_status(options: argparse.Namespace) -> None:
    status.show(load_cluster(options.cluster).port)


def logs(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    choose(options.runtime, run).follow_logs(run, options.lines, options.follow)


def rollout(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    choose(options.runtime, run).rollout(prepare(load_cluster(options.cluster), run))


def examine(options: argparse.Namespace) -> None:
    doctor.examine(options.cluster, run_dir(options.run_dir))


def fill_wheelhouse(options: argparse.Namespace) -> None:
    wheelhouse.fill(torch=True)


def test(options: argparse.Namespace) -> None:
    run_tests(options.arguments)


def bench(options: argparse.Namespace) -> None:
    startup.measure(options.cluster)
    containers.measure(options.cluster)


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], None], str]] = {
    "up": (up, "bring the service up, and show its first answer"),
    "down": (down, "stop everything and take the run directory away"),
    "status": (show_status, "every slot, its worker and its state"),
    "logs": (logs, "the end of every log"),
    "rollout": (rollout, "replace the workers one at a time, losing no request"),
    "doctor": (examine, "what this machine has, and what it lacks"),
    "wheelhouse": (fill_wheelhouse, "fetch the wheels that images are built from"),
    "test": (test, "the tests, with all they need"),
    "bench": (bench, "measure start-up time and memory"),
}


def parser() -> argparse.ArgumentParser:
    """The command line; abbreviations are not accepted, so that a new flag never changes an old command."""
    top = argparse.ArgumentParser(prog="python3 -m scripts", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        command.add_argument("--cluster", type=Path, default=ROOT / "compose/cluster.toml", help="the cluster's file")
        command.add_argument("--run-dir", type=Path, default=ROOT / "run", help="where the service writes")
        command.add_argument("--runtime", default="", help="local or compose; without it the best there is")
        if name == "logs":
            command.add_argument("--lines", type=int, default=20, help="of each log (20)")
            command.add_argument("--follow", action="store_true", help="go on as the logs grow")
        if name == "test":
            command.add_argument("arguments", nargs="*", help="for pytest, after --")
    return top


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    try:
        COMMANDS[options.command][0](options)
    except Refusal as refusal:
        for line in refusal.lines:
            warn(line)
        return 1
    except KeyboardInterrupt:
        warn("interrupted")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
