"""`make up`: start the service and print its first answer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from scripts.base.console import say, warn
from scripts.base.http import print_prediction
from scripts.base.options import Flag
from scripts.cluster.config import Cluster
from scripts.cluster.keys import OWN_NAME, ensure_own_key, read_keys
from scripts.commands import Command, ForceOptions, ServiceOptions
from scripts.host import certificates
from scripts.runtimes import observability
from scripts.runtimes.choice import choose
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import run_dir


@dataclass(frozen=True)
class Options(ForceOptions):
    """What `up` may do, and what runs beside the service."""

    observability: Annotated[
        str, Flag("1: start Prometheus, too, and Grafana where its image is there; 0: end them", choices=("", "0", "1"))
    ] = ""
    boot: Annotated[bool, Flag("do not start it with this machine")] = True


def run(service: ServiceOptions, options: Options) -> None:
    """Start everything, then send one image and print the answer."""
    directory, cluster = run_dir(service.run_dir), service.load_cluster()
    for line in certificates.warnings(cluster.tls) if cluster.tls.enabled else ():
        warn(line)
    ensure_own_key(cluster)
    runtime = choose(service.runtime, directory, len(cluster.servers))
    observed = options.observability == "1" or (options.observability == "" and runtime.observability.is_on(directory))
    if observed:
        runtime.observability.prepare(cluster, directory)
    else:
        runtime.observability.stop(directory)
    deployment = runtime.up(cluster, directory, force=options.force, boot=options.boot)
    shown, ca = _addressed(deployment)
    say(f"\nready: {shown}/  (web page, and POST /predict)")
    say(describe_access(cluster))
    say(runtime.after_reboot(directory))
    print_prediction(deployment.endpoint, deployment.models[cluster.models[0].name].golden, shown, ca, deployment.key)
    if observed:
        observability.start(runtime, cluster, directory)


def _addressed(deployment: Deployment) -> tuple[str, Path | None]:
    """Return the address to show to clients, one that the certificate has, and the authority they need to trust."""
    cluster, endpoint = deployment.cluster, deployment.endpoint
    if not cluster.tls.enabled:
        return endpoint, None
    host = certificates.read(cluster.tls).host(urlsplit(endpoint).hostname or "")
    return cluster.url(f"[{host}]" if ":" in host else host), certificates.authority(cluster)


def describe_access(cluster: Cluster) -> str:
    """Return a line that says who can reach what."""
    where = f"port {cluster.port} of {', '.join(cluster.gateway.listen) or 'every address'}"
    if not cluster.access.keys:
        return f"open to everyone who reaches {where}: keys are off ([access] keys in {cluster.source})"
    count = sum(key.name != OWN_NAME for key in read_keys(cluster))
    networks = f" and for {', '.join(cluster.access.admin_from)}" if cluster.access.admin_from else ""
    return (
        f"{where} asks for a key: {count} known (`make key`); the status is for admins{networks}; "
        "the page's own files, /livez and /readyz are open"
    )


COMMAND = Command("start the service, and show its first answer", Options, run, exclusive=True)
