"""Keys: which there are, by keys.json beside members.json, and the maps by which Nginx judges a request's key. Pure.

Nginx itself decides, so that a dead gate neither opens nor closes the entrance: its map finds the stored hash by the
key's id, and its module secure_link compares the MD5 of the key that was sent. A key holds 256 random bits: there is
nothing to guess or to look up, and MD5's known weakness, collisions, helps nobody who has to match a given hash; the
best known attack on that takes 2^123 steps (Sasaki and Aoki, EUROCRYPT 2009). The map finds a public id, and what is
compared in time that depends on the input are hashes: neither tells anything of the key.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .members import MembersError
from .options import Options

KEYS_FILE = "keys.json"  # beside members.json; scripts/cluster/keys.py writes it
# Strict, because these values become part of Nginx's configuration.
PATTERNS = {
    "id": r"[0-9a-f]{16}",
    "name": r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
    "role": "client|admin",
    "hash": r"[A-Za-z0-9_-]{22}",
}
MODEL = r"[a-z0-9][a-z0-9._-]{0,63}"
# What nginx.conf, routes.conf and access.conf ask about.
VARIABLES = ("known_id", "key_name", "key_role", "key_view", "admin_address", "pool_refused", "body_pool_refused")


@dataclass(frozen=True)
class Key:
    """A key by its public id: the MD5 of the whole key, base64url without padding; no `models` means all."""

    id: str
    name: str
    role: str
    models: tuple[str, ...]
    hash: str


def parse_keys(text: str) -> tuple[Key, ...]:
    """Return the keys in `text`, none if it is empty; raise MembersError if it is invalid."""
    try:
        rows = json.loads(text)["keys"] if text else []
        keys = tuple(_key(row) for row in rows)
    except (ValueError, TypeError, LookupError) as error:
        raise MembersError(f"{KEYS_FILE}: found {error!r}, needed an object with keys, a list") from None
    if len({key.id for key in keys}) < len(keys):
        raise MembersError(f"{KEYS_FILE}: found an id twice, needed each once")
    return keys


def _key(row: Mapping[str, Any]) -> Key:
    for name, pattern in PATTERNS.items():
        if not isinstance(row[name], str) or not re.fullmatch(pattern, row[name]):
            raise ValueError(f"{name} {row[name]!r}")
    models = row["models"]
    if not isinstance(models, list) or not all(isinstance(name, str) and re.fullmatch(MODEL, name) for name in models):
        raise ValueError(f"models {models!r}")
    return Key(row["id"], row["name"], row["role"], tuple(sorted(models)), row["hash"])


def views(keys: Iterable[Key]) -> dict[str, tuple[str, ...]]:
    """Return the prefix of the files that list only some models, with these, for every such set of a key."""
    return {_view(key.models): key.models for key in keys if key.models}


def _view(models: Sequence[str]) -> str:
    return f"only-{hashlib.sha256(','.join(models).encode()).hexdigest()[:16]}." if models else ""


def render_access(options: Options, keys: Sequence[Key], served: Sequence[str]) -> list[str]:
    """Return the lines of Nginx's maps for `keys`, of which none is asked for unless the options say so."""
    if not options.keys:
        return _map('""', "keys", {}, "off") + [line for name in VARIABLES for line in _map('""', name, {})]
    lines = _map('""', "keys", {}, "on")
    lines += _map("$key_id", "key_hash", {key.id: key.hash for key in keys})
    lines += ["", "secure_link $key_hash;", "secure_link_md5 $key;"]
    lines += _map("$secure_link", "known_id", {"1": "$key_id"})
    lines += _map("$known_id", "key_name", {key.id: key.name for key in keys})
    lines += _map("$known_id", "key_role", {key.id: key.role for key in keys})
    lines += _map("$known_id", "key_view", {key.id: _view(key.models) for key in keys if key.models})
    lines += ["", "geo $admin_address {", '    default "";']
    lines += [f"    {network} listed;" for network in options.admin_from]
    lines += ["}"]
    allowed = {f"{_view(key.models)} pool_{model}": "" for key in keys for model in key.models if model in served}
    for pool in ("pool", "body_pool"):
        lines += _map(f'"$key_view ${pool}"', f"{pool}_refused", {**allowed, "~^ ": ""}, "1")
    return lines


def render_default_model(options: Options, keys: Sequence[Key], served: Sequence[str]) -> list[str]:
    """Return the lines of $default_model, the model of a request that names none, by its key; empty: the first."""
    if not options.keys:
        return _map('""', "default_model", {})
    firsts = {_view(key.models): next((name for name in served if name in key.models), "") for key in keys}
    return _map('"$model $key_view"', "default_model", {f" {view}": name for view, name in firsts.items() if view})


def loaded_keys(upstreams: str) -> list[str] | None:
    """Return the ids of the keys that a rendered upstreams.conf knows, sorted; None if it asks for none."""
    block = re.search(r"^map \$key_id \$key_hash \{$(.*?)^\}$", upstreams, re.MULTILINE | re.DOTALL)
    return sorted(re.findall(rf'^    "({PATTERNS["id"]})" ', block[1], re.MULTILINE)) if block else None


def _map(source: str, name: str, values: Mapping[str, str], default: str = "") -> list[str]:
    rows = [f'    "{key}" "{value}";' for key, value in values.items()]
    return ["", f"map {source} ${name} {{", f'    default "{default}";', *rows, "}"]
