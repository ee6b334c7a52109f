"""What supervisord, Nginx and the gate read in a run directory: rendered for a deployment, or as another kit left."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from scripts.cluster.config import ROOT
from scripts.cluster.models import content_hash
from scripts.host.environments import SERVE, Environment, serving
from scripts.host.images import revision
from scripts.host.names import own_names
from scripts.host.venv import fingerprint
from scripts.render import common, gateway, programs
from scripts.runtimes.change import read_members
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.local.layout import KIT, kit_in
from scripts.runtimes.preflight import has_ipv6, memory_limit
from scripts.runtimes.run_directory import RunDir

PROGRAMS, GATE_PROGRAMS, LISTEN = "rendered/programs.conf", "rendered/gate.conf", "gateway/rendered/listen.conf"
MEMBERS = "gateway/rendered/members.json"
GUNICORN = ("-m", "gunicorn", "-c", "worker/gunicorn.conf.py", "worker.app:create_app()")


def rendered(deployment: Deployment) -> dict[str, str]:
    """Return path -> text for the files of `deployment`, but for secrets."""
    cluster, plan, ports, models = deployment.cluster, deployment.plan, deployment.ports, deployment.models
    environments = {name: serving(model.needs) for name, model in models.items()}
    commands = {name: (environment.python, *GUNICORN) for name, environment in environments.items()}
    memory = {name: memory_limit(model, cluster.settings) for name, model in models.items()}
    worker, gate, nvidia = revision(["worker"], ROOT), revision(["nginx"], ROOT), bool(deployment.hardware.gpus)
    revisions = {
        model.name: f"code {worker}, environment {_digest(fingerprint(environments[model.name], nvidia))}, "
        f"model {content_hash(model.folder)[:12]}"
        for model in cluster.models
    }
    return {
        KIT: kit_text(ROOT),
        PROGRAMS: programs.programs(cluster, plan, ports, commands, memory, ROOT, revisions),
        GATE_PROGRAMS: programs.gate_programs(SERVE.python, ROOT, gate),
        MEMBERS: gateway.members(
            cluster,
            plan,
            common.addresses(cluster, plan, ports),
            own_names(),
            gateway.metrics_addresses(cluster, has_ipv6()),
        ),
        LISTEN: gateway.listen_directive(cluster.port, has_ipv6(), cluster.tls.enabled, cluster.gateway.listen),
    }


def running(run: RunDir, paths: Iterable[str]) -> dict[str, str]:
    """Return path -> text for `paths`; where a kit wrote no KIT, what names it."""
    files = {path: run.text(path) for path in paths}
    return {**files, KIT: files.get(KIT) or kit_text(kit_in(run))}


def worker_ports(run: RunDir) -> dict[str, int]:
    """Return worker -> port, as the gate's list in `run` has them; empty if there is none."""
    return {name: member.port for name, member in read_members(run.text(MEMBERS), {}).items()}


def gateway_ports(run: RunDir) -> set[int]:
    """Return the ports that the gateway of `run` listens on."""
    return gateway.listen_ports(run.text(LISTEN))


def environments(deployment: Deployment) -> set[Environment]:
    """Return the Python environments of the processes."""
    return {SERVE, *(serving(model.needs) for model in deployment.models.values())}


def kit_text(root: Path) -> str:
    """Return the text that names the kit in `root` and its code, which may change there."""
    return f"{root}\n{revision(['worker'], root)} {revision(['nginx'], root)}\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
