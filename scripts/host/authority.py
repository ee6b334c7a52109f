"""Make a private certificate authority, and a server's certificate from it, with openssl's command line."""

import ipaddress
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.host.certificates import names_in
from scripts.host.packages import require

OPENSSL = {"openssl": "openssl"}
CERTIFICATE, KEY, AUTHORITY = "server.crt", "server.key", "ca.crt"
AUTHORITY_KEY = "authority/ca.key"  # apart: it is needed to renew alone, and may be kept elsewhere meanwhile
AUTHORITY_DAYS, DAYS = 3650, 365  # browsers take no server's certificate of more than 398
# Every certificate has these, since this machine's own commands ask here.
LOCAL = ("localhost", "127.0.0.1", "::1")
# What the authority may sign for, besides the names of the first HOSTS: names and addresses of private networks.
PRIVATE_NAMES = ("localhost", "local", "lan", "internal", "intranet", "home.arpa")
PRIVATE_NETWORKS = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
    *("::1/128", "fc00::/7", "fe80::/10"),
)
LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
NAME = re.compile(rf"(\*\.)?{LABEL}(\.{LABEL})*")


def make(folder: Path, hosts: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    """Make the certificate in `folder` anew, and the authority if there is none; return the certificate's names.

    Without `hosts` it keeps the names of the one that it replaces, or has the `default`. Raise CommandError if that
    fails; what was there is then unchanged.
    """
    require(OPENSSL)
    names = tuple(dict.fromkeys([*(parse_hosts(hosts) or _names_before(folder) or parse_hosts(default)), *LOCAL]))
    old_mask = os.umask(0o077)
    try:
        (folder / AUTHORITY_KEY).parent.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # whoever logs in may read ca.crt
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as draft:
            _ensure_authority(folder, Path(draft), names)
            _sign(folder, Path(draft), names)
    except OSError as error:
        raise CommandError(
            f"{error.filename or folder}: {error.strerror}: needed free space, and a folder that this account may write"
        ) from error
    finally:
        os.umask(old_mask)
    return names


def parse_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return names and addresses as certificates have them; raise CommandError with a line for each that is neither."""
    found, faults = [], []
    for host in hosts:
        try:
            found.append(str(ipaddress.ip_address(host.strip("[]"))))
        except ValueError:
            name = _ascii(host.lower().rstrip("."))
            if NAME.fullmatch(name) and len(name) <= 253 and not re.fullmatch(r"[\d.]+", name):
                found.append(name)
            else:
                faults.append(
                    f"HOSTS: found {host!r}, needed host names and IP addresses, such as a.example.org,10.0.0.5"
                )
    if faults:
        raise CommandError(*faults)
    return tuple(dict.fromkeys(found))


def _ascii(name: str) -> str:
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return ""


def _names_before(folder: Path) -> tuple[str, ...]:
    try:
        return names_in(folder / CERTIFICATE)
    except OSError:
        return ()


def _ensure_authority(folder: Path, draft: Path, names: Sequence[str]) -> None:
    """Make the authority unless there is one; raise CommandError if half of it is missing, or if it ends too soon."""
    certificate, key = folder / AUTHORITY, folder / AUTHORITY_KEY
    anew = f"remove {certificate} and {key}, run this again, and have every client trust the new one"
    if not certificate.exists() and not key.exists():
        config = _write(draft / "ca.cnf", _authority_config(names))
        files = {"config": config, "keyout": draft / "ca.key", "out": draft / "ca.crt"}
        _openssl(f"req -x509 -new {NEW_KEY} -sha256", days=AUTHORITY_DAYS, **files)
        _place(draft / "ca.key", key, 0o400)
        _place(draft / "ca.crt", certificate, 0o444)
    for file, other in ((certificate, key), (key, certificate)):
        if not file.exists():
            raise CommandError(f"{file}: found only {other}, needed both to renew: put it back, or {anew}")
    try:
        _openssl("x509 -noout", in_=certificate, checkend=DAYS * 86400)
    except CommandError as error:
        raise CommandError(f"{certificate}: found an authority that ends within {DAYS} days: {anew}") from error


def _sign(folder: Path, draft: Path, names: Sequence[str]) -> None:
    """Make a key and a certificate for `names`; raise CommandError if clients would refuse it."""
    config, request = _write(draft / "server.cnf", _server_config(names)), draft / "server.csr"
    _openssl(f"req -new {NEW_KEY}", config=config, keyout=draft / KEY, out=request)
    signer = {"CA": folder / AUTHORITY, "CAkey": folder / AUTHORITY_KEY, "set_serial": f"0x{os.urandom(16).hex()}"}
    extensions = {"extfile": config, "extensions": "extensions"}
    _openssl("x509 -req -sha256", in_=request, days=DAYS, **signer, **extensions, out=draft / CERTIFICATE)
    try:
        _openssl(f"verify -x509_strict -CAfile {AUTHORITY} {draft.name}/{CERTIFICATE}", folder)
    except CommandError as error:
        raise CommandError(
            f"{folder / AUTHORITY}: found an authority for {', '.join(_permitted_names(folder)) or 'other names'} and "
            f"private networks, needed one for {', '.join(names)}: leave out the others, or remove it and "
            f"{folder / AUTHORITY_KEY}, run this again, and have every client trust the new one",
        ) from error
    _place(draft / KEY, folder / KEY, 0o400)
    _place(draft / CERTIFICATE, folder / CERTIFICATE, 0o444)


def _permitted_names(folder: Path) -> list[str]:
    text = _openssl("x509 -noout", in_=folder / AUTHORITY, ext="nameConstraints")
    return [name for name in re.findall(r"DNS:(\S+)", text) if name not in PRIVATE_NAMES]


NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
REQUEST = (
    "[req]\nprompt = no\nutf8 = yes\ndistinguished_name = name\nx509_extensions = extensions\n[name]\nCN = {name}\n"
)


def _authority_config(names: Sequence[str]) -> str:
    """Return openssl's configuration of the authority, which can sign servers' certificates for some names alone."""
    dns, addresses = _split(names)
    dns = [*dict.fromkeys([*(_domain(name) for name in dns), *PRIVATE_NAMES])]
    networks = [ipaddress.ip_network(one) for one in (*addresses, *PRIVATE_NETWORKS)]
    masks = [f"{network.network_address}/{network.netmask}" for network in networks]
    permitted = [f"permitted;DNS.{number} = {name}" for number, name in enumerate(dns)]
    permitted += [f"permitted;IP.{number} = {mask}" for number, mask in enumerate(dict.fromkeys(masks))]
    return REQUEST.format(name=f"Wanwu {next(iter(names))[:40]} {os.urandom(4).hex()}") + "\n".join(
        [
            "[extensions]",
            "basicConstraints = critical, CA:TRUE, pathlen:0",
            "keyUsage = critical, keyCertSign, cRLSign",
            "subjectKeyIdentifier = hash",
            "nameConstraints = critical, @permitted",
            "[permitted]",
            *permitted,
            "",
        ]
    )


def _server_config(names: Sequence[str]) -> str:
    dns, addresses = _split(names)
    alternatives = [f"DNS.{number} = {name}" for number, name in enumerate(dns)]
    alternatives += [f"IP.{number} = {address}" for number, address in enumerate(addresses)]
    return REQUEST.format(name="Wanwu").replace("x509_extensions = extensions\n", "") + "\n".join(
        [
            "[extensions]",
            "basicConstraints = critical, CA:FALSE",
            "keyUsage = critical, digitalSignature",
            "extendedKeyUsage = serverAuth",
            "subjectKeyIdentifier = hash",
            "authorityKeyIdentifier = keyid",
            "subjectAltName = @names",
            "[names]",
            *alternatives,
            "",
        ]
    )


def _split(names: Sequence[str]) -> tuple[list[str], list[ipaddress.IPv4Address | ipaddress.IPv6Address]]:
    dns, addresses = [], []
    for name in names:
        try:
            addresses.append(ipaddress.ip_address(name))
        except ValueError:
            dns.append(name)
    return dns, addresses


def _domain(name: str) -> str:
    """Return the domain that an authority for `name` may sign for: its parent, unless that is a whole top level."""
    labels = name.removeprefix("*.").split(".")
    return ".".join(labels[1:] if len(labels) > 2 else labels)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _place(draft: Path, path: Path, mode: int) -> None:
    draft.chmod(mode)
    draft.replace(path)


def _openssl(command: str, folder: Path | None = None, /, **options: object) -> str:
    """Run openssl in `folder`; an option's name may end with "_", where it is a word of Python."""
    arguments = [part for name, value in options.items() for part in (f"-{name.rstrip('_')}", str(value))]
    call = ["openssl", *command.split(), *arguments]
    result = subprocess.run(call, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        raise CommandError(f"openssl {command.split()[0]} failed: {(result.stderr or result.stdout).strip()}")
    return result.stdout
