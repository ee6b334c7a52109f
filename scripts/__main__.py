"""`python3 -m scripts COMMAND`: what the Makefile's targets run."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scripts import doctor, library, model_add, model_verify, status, wheelhouse
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


def add_model(options: argparse.Namespace) -> None:
    given = (options.path, options.loader, options.architecture, options.labels_en, options.labels_zh, options.golden)
    model_add.add(model_add.Order(options.models.absolute(), options.name, *given, options.trust_code, options.force))


def verify_models(options: argparse.Namespace) -> None:
    model_verify.verify(options.models.absolute(), load_cluster(options.cluster), options.name, options.json)


def list_models(options: argparse.Namespace) -> None:
    library.show(options.models.absolute(), load_cluster(options.cluster))


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
    "model-add": (add_model, "make a model folder from files at hand"),
    "model-verify": (verify_models, "check model folders as a starting worker does, without a network"),
    "models": (list_models, "every model folder, and whether it is served and verified"),
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
        if name in ("model-add", "model-verify", "models"):
            command.add_argument("--models", type=Path, default=library.MODELS, help="the folder of the model folders")
        if name == "model-add":
            command.add_argument(
                "--path", metavar="PATH", default="", help="the model's file or folder, SOURCE= of make"
            )
            command.add_argument("--name", metavar="NAME", default="", help="the new model's name")
            command.add_argument("--loader", metavar="NAME", default="", help="the loader; without it one is guessed")
            command.add_argument("--architecture", metavar="NAME", default="", help="where the loader needs to be told")
            command.add_argument("--labels-en", metavar="FILE", default="", help="a file of English labels, one a line")
            command.add_argument("--labels-zh", metavar="FILE", default="", help="a file of Chinese labels, one a line")
            command.add_argument(
                "--golden", metavar="FILE", default="", help="a picture whose answer later checks must get again"
            )
            command.add_argument("--trust-code", action="store_true", help="let the network.py beside the weights run")
            command.add_argument("--force", action="store_true", help="replace a model folder of that name")
        if name == "model-verify":
            command.add_argument("--name", metavar="NAME", default="", help="this model alone")
            command.add_argument("--json", action="store_true", help="report as JSON")
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
