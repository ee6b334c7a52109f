"""Keys of clients and administrators: made, listed and revoked in one file beside cluster.toml, which has hashes only.

A key is wanwu_ID_SECRET: a public id, by which Nginx finds its hash, and 256 random bits. nginx/gate/access.py says why
an MD5 of it is safe to keep. The file belongs to whoever runs `make`: no process of the service reads it.
"""

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.base.lock import locked
from scripts.cluster.config import Cluster

ROLES = ("client", "admin")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
ID, HASH = re.compile(r"[0-9a-f]{16}"), re.compile(r"[A-Za-z0-9_-]{22}")
KEYS_FILE = "keys.jsonl"  # beside cluster.toml: a line for each key
OWN_FILE = "own.key"  # beside it: the key of the commands themselves, such as `make status`
OWN_NAME = "make"
OWN_VARIABLE = "WANWU_KEY"  # environment variable: a key for the commands
MODE = 0o400


@dataclass(frozen=True)
class Key:
    """A line of the file; no `models` means all. `created` is a date and time in UTC."""

    id: str
    name: str
    role: str
    models: tuple[str, ...]
    created: str
    hash: str


def new_key(name: str, role: str, models: Sequence[str]) -> tuple[str, Key]:
    """Return a new key and what is kept of it; raise CommandError if it cannot be made as wanted."""
    if not NAME.fullmatch(name):
        raise CommandError(
            f'NAME: found {name!r}, needed up to 63 letters, digits, ".", "_" or "-", the first a letter or digit'
        )
    if role not in ROLES:
        raise CommandError(f"ROLE: found {role!r}, needed one of {', '.join(ROLES)}")
    if models and role == "admin":
        raise CommandError("MODELS: found them for an admin, who sees all, needed none: leave them out, or ROLE=client")
    text = f"wanwu_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return text, Key(text.split("_")[1], name, role, tuple(sorted({*models})), created, hash_of(text))


def hash_of(key: str) -> str:
    """Return what is kept of a key, as Nginx's module secure_link compares it: its MD5, base64url without padding."""
    return base64.urlsafe_b64encode(hashlib.md5(key.encode(), usedforsecurity=False).digest()).rstrip(b"=").decode()


def parse_keys(text: str, source: str) -> list[Key]:
    """Return the keys in `text`, the content of the file `source`; raise CommandError with each faulty line."""
    keys, faults = [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            row = json.loads(line)
            key = Key(**row | {"models": tuple(row["models"])})
            if not (
                ID.fullmatch(key.id) and NAME.fullmatch(key.name) and HASH.fullmatch(key.hash) and key.role in ROLES
            ):
                raise ValueError("found a value that no key has")
            keys.append(key)
        except (ValueError, TypeError, KeyError) as error:
            faults.append(f"{source}: line {number}: {error}: needed a line that `make key` wrote: remove it")
    if faults:
        raise CommandError(*faults)
    return keys


def gate_keys(cluster: Cluster) -> str:
    """Return the gate's keys.json, which lists none while keys are off."""
    return render_keys(read_keys(cluster) if cluster.access.keys else ())


def render_keys(keys: Sequence[Key]) -> str:
    """Return `keys` as the gate reads them."""
    rows = [{name: value for name, value in asdict(key).items() if name != "created"} for key in keys]
    return json.dumps({"keys": rows}, indent=1) + "\n"


def keys_file(cluster: Cluster) -> Path:
    """Return the path of the keys: beside cluster.toml, which on a server lies in /etc/wanwu."""
    return cluster.folder / KEYS_FILE


def read_keys(cluster: Cluster) -> list[Key]:
    """Return the keys of `cluster`, oldest first; raise CommandError if the file cannot be read."""
    path = keys_file(cluster)
    try:
        return parse_keys(path.read_text(encoding="utf-8"), str(path)) if path.exists() else []
    except OSError as error:
        raise CommandError(
            f"{path}: {error.strerror}: needed the account that made the keys, or root: run this as that one"
        ) from error


@contextmanager
def keys_locked(folder: Path) -> Iterator[None]:
    """Let no other command change the keys in `folder` in the body; raise CommandError for an OSError."""
    try:
        with locked(folder, patient=True):
            yield
    except OSError as error:
        raise CommandError(
            f"{error.filename or folder}: {error.strerror or error}: needed free space, and an account that may read "
            "and write there: run this as the one that made the keys, or as root"
        ) from error


@contextmanager
def changed_keys(cluster: Cluster) -> Iterator[list[Key]]:
    """Yield the keys of `cluster` as a list, and write what has become of it; one command at a time."""
    with keys_locked(cluster.folder):
        keys = read_keys(cluster)
        before = list(keys)
        yield keys
        if keys != before:
            write_secret(keys_file(cluster), "".join(json.dumps(asdict(key)) + "\n" for key in keys))


def own_key(cluster: Cluster) -> str:
    """Return the key by which the commands ask the gateway: of the environment, else their own; "" if there is none."""
    if given := os.environ.get(OWN_VARIABLE, ""):
        return given
    try:
        return (cluster.folder / OWN_FILE).read_text(encoding="ascii").strip() if cluster.access.keys else ""
    except (OSError, UnicodeDecodeError):
        return ""


def ensure_own_key(cluster: Cluster) -> None:
    """Make the commands' own key, unless keys are off or there is one."""
    if not cluster.access.keys:
        return
    path = cluster.folder / OWN_FILE
    with changed_keys(cluster) as keys:
        known = {key.hash for key in keys if key.name == OWN_NAME}
        if path.exists() and hash_of(path.read_text(encoding="ascii").strip()) in known:
            return
        text, key = new_key(OWN_NAME, "admin", ())
        write_secret(path, f"{text}\n")
        keys[:] = [*(other for other in keys if other.name != OWN_NAME), key]


def write_secret(path: Path, text: str) -> None:
    """Write `text` so that nobody else can read it at any moment, and readers find the old text or the new.

    Raise OSError if that fails; the old file is then unchanged.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
