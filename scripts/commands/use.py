"""`make use`: replace a served model by another model folder, in cluster.toml and in the running service."""

from functools import partial
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.cluster import edit as cluster_edit
from scripts.cluster.config import ROOT, Cluster, Model, load_cluster, parse_cluster
from scripts.commands import Command, Place
from scripts.models import model_store as library
from scripts.models.model_store import StoredModel
from scripts.models.options import UseOptions
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import run_dir
from scripts.runtimes.swap import execute, plan_swap


def run(place: Place, options: UseOptions) -> None:
    """Serve a model folder in place of a served model: of `instead_of`, or of the first one if that is empty.

    A running service switches without losing a request; if none runs, only cluster.toml changes. Raise CommandError if
    the replacement fails, after restoring the previous state.
    """
    here, models, path, name = run_dir(place.run_dir), options.models, place.cluster, options.name
    runtime = choose(place.runtime, here, count_servers(path)).side_by_side()
    library.check_name(name)
    cluster = load_cluster(path)
    target = _target(cluster, name, options.instead_of)
    entry = library.named(library.entries(models, cluster), name)
    if name == target.name or entry.folder.resolve() == target.folder.resolve():
        say(f"already served as {target.name}: {_written(target.folder)}; `make rollout` takes up changed files")
        return
    _refuse_unfit(models, entry)
    before = path.read_bytes().decode()
    values = {"name": name, "folder": _written(entry.folder)}
    after = cluster_edit.with_model(before, cluster.source, cluster.models.index(target), values)
    cluster_edit.require_replaceable(path)
    old, new = runtime.plan(cluster, here), runtime.plan(parse_cluster(after, cluster.source), here)
    write = partial(cluster_edit.replace_text, path, before, after)
    if not runtime.is_running(here):
        _refuse_elsewhere(old)
        write()
        say(f"{cluster.source} names {name} in place of {target.name}; nothing is running: `make up` serves it")
        return
    swap = plan_swap(target.name, name, old, new)
    if not here.holds(runtime.render(old)):
        raise CommandError(f"{here.path}: what runs is not what {cluster.source} says: run `make up` first")
    execute(runtime, swap, write)
    default = " and answers /predict" if target is cluster.models[0] else ""
    say(f"\n{name} is served{default}; {cluster.source} says so")
    say(f"requests that name {target.name} (/models/{target.name}, ?model={target.name}) are answered 404")


def _target(cluster: Cluster, name: str, instead_of: str) -> Model:
    """Return the served model to replace; raise CommandError if there is none, or if `name` is served, too."""
    served = {model.name: model for model in cluster.models}
    target = served.get(instead_of or cluster.models[0].name)
    if target is None:
        raise CommandError(f"INSTEAD_OF: found {instead_of!r}, needed one of {', '.join(served)}")
    if name in served and name != target.name:
        raise CommandError(
            f"NAME: {name} is served already, beside {target.name}: needed one that is not, "
            f"or take its table out of {cluster.source} and `make up` first"
        )
    return target


def _refuse_unfit(models: Path, entry: StoredModel) -> None:
    """Raise CommandError if model.toml has a fault, or if the folder was not verified in its present state."""
    if fault := library.read_summary(entry.folder).fault:
        raise CommandError(f"NAME: {fault}")
    if not library.is_verified(models, entry.folder):
        raise CommandError(
            f"NAME: {entry.folder} is not verified as it is now: run `make model-verify NAME={entry.name}` first"
        )


def _refuse_elsewhere(deployment: Deployment) -> None:
    """Raise CommandError if the endpoint answers, since a service from another run directory would not be changed."""
    status, _ = get(f"{deployment.endpoint}/status")
    if status:
        raise CommandError(
            f"{deployment.run.path}: nothing runs from here, but port {deployment.cluster.port} is answered: "
            "give the RUN_DIR= of the service, or end what answers there"
        )


def _written(folder: Path) -> str:
    """Return `folder` as cluster.toml states it: relative to the kit if it is inside."""
    return str(folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder)


COMMAND = Command("serve another model folder in place of a served one, losing no request", UseOptions, run)
