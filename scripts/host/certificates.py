"""The gateway's certificate: read, checked, and joined with its key into the one file that Nginx reads.

Nginx would find neither an expired certificate nor one without names. One file can be replaced atomically, two cannot.
"""

import ipaddress
import re
import ssl
import stat
from _ssl import _test_decode_cert  # type: ignore[attr-defined]  # the only reader of dates in the standard library
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scripts.base.errors import CommandError
from scripts.cluster.config import Cluster
from scripts.cluster.schema import Tls

WARN_BEFORE = timedelta(days=30)
# Below the folder of the cluster file: what `make cert` writes, and [tls] names by default.
CERTIFICATE, KEY, AUTHORITY = "tls/server.crt", "tls/server.key", "tls/ca.crt"
SERVED = "gateway/tls/server.pem"  # the joined file, below the run directory
BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
RENEW = "renew it (`make cert`, if that made it) and run `make up`"
BEGIN = {"certificate": "CERTIFICATE", "key": "PRIVATE KEY"}  # of a file's first line
# OpenSSL's words for what is wrong with a certificate and its key.
REASONS = {
    "KEY_VALUES_MISMATCH": "a key that is not the certificate's, needed the pair; the server's certificate comes first",
    "EE_KEY_TOO_SMALL": "a key that is too short, needed RSA of 2048 bits or more, or a curve such as P-256",
    "CA_MD_TOO_WEAK": "a signature that is too weak, needed SHA-256 or better",
    "BAD_PASSWORD_READ": "a key with a passphrase, needed one without: `openssl pkey` removes it",
}


@dataclass(frozen=True)
class Certificate:
    """A certificate that can be served: its names and addresses, its dates, and it with its key as PEM."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime  # of the server's or of an intermediate, whichever ends first
    pem: str

    def host(self, address: str) -> str:
        """Return `address` if the certificate has it, or else its first name, under which clients may ask."""
        return address if address in self.names else next((name for name in self.names if "*" not in name), address)


def certificates(text: str) -> str:
    """Return the certificates in `text` without any key."""
    return "".join(BLOCK.findall(text))


def read(tls: Tls, now: datetime | None = None) -> Certificate:
    """Return the certificate that `[tls]` names; raise CommandError if no client would take it at the time `now`."""
    chain, key = _text(tls.certificate, "certificate"), _text(tls.key, "key")
    _check_pair(tls)
    decoded: dict[str, Any] = _test_decode_cert(str(tls.certificate))
    not_before, *ends = (_time(decoded[key]) for key in ("notBefore", "notAfter"))
    ends += [_time(one["notAfter"]) for one in _intermediates(tls.certificate)]
    certificate = Certificate(_names(decoded), not_before, min(ends), f"{key.strip()}\n{certificates(chain)}")
    if fault := _fault(certificate, now or datetime.now(UTC)):
        raise CommandError(f"{tls.certificate}: {fault}")
    return certificate


def names_in(path: Path) -> tuple[str, ...]:
    """Return the names of the certificate at `path`, whatever its dates; raise OSError if it cannot be read."""
    return _names(_test_decode_cert(str(path)))


def warnings(tls: Tls, now: datetime | None = None) -> list[str]:
    """Return a line for what will be or may be wrong with a certificate that `read` accepts."""
    certificate = read(tls, now)
    left = certificate.not_after - (now or datetime.now(UTC))
    lines = []
    if left <= WARN_BEFORE:
        lines.append(
            f"{tls.certificate}: found {left.days} days until it ends on {_day(certificate.not_after)}: {RENEW}"
        )
    if (mode := stat.S_IMODE(tls.key.stat().st_mode)) & 0o077:
        lines.append(f"{tls.key}: found mode {mode:04o}, needed a key that only its owner reads: chmod 0400 it")
    return lines


def faults(cluster: Cluster) -> list[str]:
    """Return the lines of `read` or of `warnings` for the certificate of `cluster`; none without TLS."""
    try:
        return warnings(cluster.tls) if cluster.tls.enabled else []
    except CommandError as error:
        return list(error.lines)


def served(cluster: Cluster) -> dict[str, str]:
    """Return path -> text of the file that Nginx reads; nothing without TLS. Raise CommandError as `read` does."""
    return {SERVED: read(cluster.tls).pem} if cluster.tls.enabled else {}


def authority(cluster: Cluster) -> Path | None:
    """Return the certificate of the authority that `make cert` made, if the cluster's is from it."""
    path = cluster.folder / AUTHORITY
    return path if path.exists() and cluster.tls.certificate == cluster.folder / CERTIFICATE else None


def describe(tls: Tls) -> str:
    """Return the certificate's names and its end in a line; raise CommandError as `read` does."""
    certificate = read(tls)
    return f"{', '.join(certificate.names)}, until {_day(certificate.not_after)}"


def known_certificates(tls: Tls, run_dir: Path) -> str:
    """Return the certificates, as PEM, that `[tls]` names and that a service in `run_dir` has loaded, if any."""
    found = []
    for path in (tls.certificate, run_dir / SERVED):
        with suppress(OSError, UnicodeDecodeError):
            found.append(certificates(path.read_text(encoding="ascii")))
    return "".join(found)


def _text(path: Path, key: str) -> str:
    made = "make one with `make cert HOSTS=...`, or name your own"
    try:
        text = path.read_text(encoding="ascii")
        if f"{BEGIN[key]}-----" not in text:
            raise ValueError
        return text
    except OSError as error:
        raise CommandError(f"tls/{key}: {path}: {error.strerror}, needed a file in PEM: {made}") from error
    except ValueError as error:
        raise CommandError(
            f"tls/{key}: {path}: found no {BEGIN[key].lower()} in PEM, needed one: `openssl x509` and `openssl pkey` "
            "convert"
        ) from error


def _check_pair(tls: Tls) -> None:
    """Raise CommandError unless OpenSSL, which Nginx uses, can serve with the two files."""
    try:
        # Without a callback, OpenSSL would ask the terminal for a passphrase.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or ""
        encrypted = "ENCRYPTED" in tls.key.read_text(encoding="ascii")
        found = REASONS["BAD_PASSWORD_READ"] if encrypted else REASONS.get(reason) or f"what OpenSSL refuses: {error}"
        raise CommandError(f"{tls.certificate} and {tls.key}: found {found}") from error


def _intermediates(path: Path) -> list[dict[str, Any]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    found: list[dict[str, Any]] = context.get_ca_certs()
    return found


def _fault(certificate: Certificate, now: datetime) -> str | None:
    if not certificate.names:
        return "found no names (subjectAltName), which clients compare, needed one with the server's names: " + RENEW
    if now < certificate.not_before:
        return (
            f"found a certificate that is valid from {_day(certificate.not_before)} on, today is {_day(now)}, "
            "needed one that is valid: set this machine's clock, or wait"
        )
    if now >= certificate.not_after:
        return f"found a certificate that ended on {_day(certificate.not_after)}, needed one that is valid: {RENEW}"
    return None


def _names(decoded: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names and addresses; others, such as URIs, are not compared by clients."""
    return tuple(
        str(ipaddress.ip_address(value.strip())) if kind == "IP Address" else value
        for kind, value in decoded.get("subjectAltName", ())
        if kind in ("DNS", "IP Address")
    )


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def _day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d")
