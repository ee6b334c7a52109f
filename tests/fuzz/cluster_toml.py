"""cluster.toml: reading it, planning with it and editing it return, or raise CommandError."""

import contextlib
import tomllib
from pathlib import Path

from hypothesis import strategies as st

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, load_cluster
from scripts.cluster.edit import with_model
from scripts.cluster.plan import plan
from tests.fuzz import Check, toml
from tests.fuzz.mutation import with_other_values as vary
from tests.unit.hardware import MACHINES, recorded
from worker.contract.limits import LIMITS

__all__ = ["examples", "opened", "vary"]

OTHER = {"name": "other", "folder": "models/other"}
FILE = ROOT / "compose/cluster.toml"


def tables() -> list[toml.Table]:
    """Return the repository's table, and one that uses every key."""
    own = tomllib.loads(FILE.read_text(encoding="utf-8"))
    limits = {name: limit.default for name, limit in LIMITS.items()}
    server = {"name": "here", "address": "10.0.0.1", "gpus": "auto", "cpus": "0-1", "workers": 2, "gateway": True}
    other = {"name": "there", "address": "there.local", "gpus": "none", "cores_per_worker": 1}
    models = [{"name": "photos", "folder": "worker/photos", "share": 2}, {"name": "other", "folder": "/models/other"}]
    full = {"port": 80, "engine": "openvino", "profile": "latency", "limits": limits, "models": models}
    return [own, full | {"servers": [server, other]}]


def examples() -> st.SearchStrategy[bytes]:
    return toml.files(tables())


def opened(folder: Path) -> Check:
    file, machines = folder / "cluster.toml", [recorded(name) for name in MACHINES]

    def check(data: bytes) -> None:
        file.write_bytes(data)
        with contextlib.suppress(CommandError):
            found = load_cluster(file)
            with contextlib.suppress(CommandError):
                with_model(file.read_text(encoding="utf-8"), found.source, 0, OTHER)
            for hardware in machines:
                with contextlib.suppress(CommandError):
                    plan(found, {server.name: hardware for server in found.servers})

    return check
