"""`make up`: start the service and print its first answer."""

from pathlib import Path
from urllib.parse import urlsplit

from scripts.base.console import say, warn
from scripts.base.http import print_prediction
from scripts.commands import Command, NoOptions, ServiceOptions
from scripts.host import certificates
from scripts.runtimes.choice import choose
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.run_directory import run_dir


def run(service: ServiceOptions, options: NoOptions) -> None:
    """Start everything, then send one image and print the answer."""
    directory, cluster = run_dir(service.run_dir), service.load_cluster()
    for line in certificates.warnings(cluster.tls) if cluster.tls.enabled else ():
        warn(line)
    deployment = choose(service.runtime, directory, len(cluster.servers)).up(cluster, directory)
    shown, ca = _addressed(deployment)
    say(f"\nready: {shown}/  (web page, and POST /predict)")
    print_prediction(deployment.endpoint, deployment.models[cluster.models[0].name].golden, shown, ca)


def _addressed(deployment: Deployment) -> tuple[str, Path | None]:
    """Return the address to show to clients, one that the certificate has, and the authority they need to trust."""
    cluster, endpoint = deployment.cluster, deployment.endpoint
    if not cluster.tls.enabled:
        return endpoint, None
    host = certificates.read(cluster.tls).host(urlsplit(endpoint).hostname or "")
    return cluster.url(f"[{host}]" if ":" in host else host), certificates.authority(cluster)


COMMAND = Command("start the service, and show its first answer", NoOptions, run)
