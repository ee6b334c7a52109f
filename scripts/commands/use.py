"""`make use`: replace a served model by another model folder, in cluster.toml and in the running service."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.options import Flag
from scripts.cluster import edit as cluster_edit
from scripts.cluster.config import ROOT, Cluster, load_cluster, parse_cluster
from scripts.cluster.schema import Model
from scripts.commands import Command, ForceOptions, ServiceOptions
from scripts.models import model_store
from scripts.models.model_store import StoredModel
from scripts.models.options import ModelOptions
from scripts.models.summary import read_summary
from scripts.models.verified import is_verified
from scripts.runtimes import live
from scripts.runtimes.choice import choose, count_servers
from scripts.runtimes.deployment import Deployment, plan_here
from scripts.runtimes.run_directory import run_dir
from scripts.runtimes.side_by_side import require_side_by_side


@dataclass(frozen=True)
class Options(ForceOptions, ModelOptions):
    """Which model folder replaces which served model."""

    name: Annotated[str, Flag("the new model's folder; if nothing is running, `up` serves it")] = ""
    instead_of: Annotated[str, Flag("the served model to replace (the first)", "NAME")] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Serve a model folder in place of a served model: of `instead_of`, or of the first one if that is empty.

    A running service switches without losing a request; if none runs, only cluster.toml changes. Raise CommandError if
    the replacement fails, after restoring the previous state.
    """
    directory, models, path, name = run_dir(service.run_dir), options.models, service.cluster, options.name
    runtime = require_side_by_side(choose(service.runtime, directory, count_servers(path)))
    model_store.check_name(name)
    cluster = load_cluster(path)
    target = _find_target(cluster, name, options.instead_of)
    entry = model_store.named(model_store.entries(models, cluster), name)
    if name == target.name or entry.folder.resolve() == target.folder.resolve():
        folder = _config_path(target.folder)
        say(f"already served as {target.name}: {folder}; `make rollout` applies changes to its files")
        return
    _require_verified(models, entry)
    before = path.read_bytes().decode()
    values = {"name": name, "folder": _config_path(entry.folder)}
    after = cluster_edit.with_model(before, cluster.source, cluster.models.index(target), values)
    cluster_edit.require_replaceable(path)
    planned = plan_here(parse_cluster(after, cluster.source), directory)
    write = partial(cluster_edit.replace_text, path, before, after)
    if not runtime.is_running(directory):
        _require_no_other_service(planned)
        write()
        say(f"{cluster.source} now names {name} instead of {target.name}; nothing is running: `make up` serves it")
        return
    live.require_unchanged(runtime, plan_here(cluster, directory))
    live.change(runtime, planned, options.force, commit=write)
    default = " and answers /predict" if target is cluster.models[0] else ""
    say(f"\n{name} is served{default}; {cluster.source} was changed")
    say(f"requests that name {target.name} (/models/{target.name}, ?model={target.name}) now get 404")


def _find_target(cluster: Cluster, name: str, instead_of: str) -> Model:
    """Return the served model to replace; raise CommandError if there is none, or if `name` is served, too."""
    served = {model.name: model for model in cluster.models}
    target = served.get(instead_of or cluster.models[0].name)
    if target is None:
        raise CommandError(f"INSTEAD_OF: found {instead_of!r}, needed one of {', '.join(served)}")
    if name in served and name != target.name:
        raise CommandError(
            f"NAME: {name} is already served next to {target.name}, needed a model that is not: choose another, "
            f"or remove its table from {cluster.source} and run `make up` first"
        )
    return target


def _require_verified(models: Path, entry: StoredModel) -> None:
    """Raise CommandError if model.toml has a fault, or if the folder was not verified in its present state."""
    if fault := read_summary(entry.folder).fault:
        raise CommandError(f"NAME: {fault}")
    if not is_verified(models, entry.folder):
        raise CommandError(
            f"NAME: {entry.folder} is not verified in its present state: "
            f"run `make model-verify NAME={entry.name}` first"
        )


def _require_no_other_service(deployment: Deployment) -> None:
    """Raise CommandError if the endpoint answers, since a service from another run directory would not be changed."""
    status, _ = get(f"{deployment.endpoint}/status")
    if status:
        port = deployment.cluster.port
        raise CommandError(
            f"{deployment.run.path}: found no service running from here, but one that answers on port {port}: "
            "set the RUN_DIR= of that service, or stop it"
        )


def _config_path(folder: Path) -> str:
    """Return `folder` as cluster.toml states it: relative to the kit if it is inside."""
    return str(folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder)


COMMAND = Command(
    "replace a served model by another model folder, without losing a request", Options, run, exclusive=True
)
