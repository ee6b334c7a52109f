"""`make cert`: make or renew the gateway's certificate, from a private authority, and say how clients trust it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.options import Flag
from scripts.cluster.config import Cluster
from scripts.commands import Command, ServiceOptions
from scripts.host import authority, certificates
from scripts.host.names import own_names


@dataclass(frozen=True)
class Options:
    """Whom the certificate is for."""

    hosts: Annotated[
        str, Flag("host names and IP addresses that clients ask (default: as before, or this machine's)", "NAMES")
    ] = ""


def run(service: ServiceOptions, options: Options) -> None:
    """Make the certificate; raise CommandError if the site has one of its own, or if that fails."""
    cluster = service.load_cluster()
    folder = cluster.folder / Path(certificates.CERTIFICATE).parent
    _require_ours(cluster)
    hosts = [host for host in re.split(r"[,\s]+", options.hosts) if host]
    authority.make(folder, hosts, [*own_names(), *(server.address for server in cluster.servers)])
    say(f"{cluster.tls.certificate}: {certificates.describe(cluster.tls)}")
    say(f"keep to yourself: {cluster.tls.key}, and {folder / authority.AUTHORITY_KEY}, which signs")
    say(f"for clients: {folder / 'ca.crt'}")
    for line in trust_lines(folder / "ca.crt", cluster.url(certificates.read(cluster.tls).host(""))):
        say(f"  {line}")
    on = "" if cluster.tls.enabled else f"set enabled = true in [tls] of {cluster.source}, then "
    say(f"next: {on}run `make up`; a running service loads a renewed certificate without losing a connection")


def trust_lines(ca: Path, endpoint: str) -> list[str]:
    """Return a line for each kind of client: how it trusts the authority `ca` at `endpoint`."""
    return [
        f"curl              curl --cacert {ca} {endpoint}/status",
        f'requests          requests.post("{endpoint}/predict", ..., verify="{ca}")',
        f'the kit\'s client  Client("{endpoint}", verify="{ca}")',
        f"huggingface_hub   SSL_CERT_FILE={ca} and REQUESTS_CA_BUNDLE={ca}, which other programs read, too",
        f"Debian, Ubuntu    cp {ca} /usr/local/share/ca-certificates/wanwu.crt && update-ca-certificates",
        f"RHEL, Fedora      cp {ca} /etc/pki/ca-trust/source/anchors/wanwu.crt && update-ca-trust",
        "Windows           certutil -addstore -f Root ca.crt",
        "Chrome, Edge      as Windows does; under Linux: Settings, Security, Manage certificates, Authorities, Import",
        "Firefox           Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import",
    ]


def _require_ours(cluster: Cluster) -> None:
    """Raise CommandError if `[tls]` names files other than those that this command writes."""
    made = (cluster.folder / certificates.CERTIFICATE, cluster.folder / certificates.KEY)
    if (cluster.tls.certificate, cluster.tls.key) != made:
        raise CommandError(
            f"{cluster.source}: tls: found {cluster.tls.certificate}, needed {made[0]}, which this command writes: "
            "renew yours where it came from and run `make up`, or remove certificate and key from the file"
        )


COMMAND = Command("make or renew the gateway's certificate, and say how clients trust it", Options, run, exclusive=True)
