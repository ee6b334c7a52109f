"""Shared by the tests of rendered lists."""

import json

from scripts.cluster.config import Cluster, parse_cluster
from scripts.cluster.plan import Plan, plan
from tests.unit.hardware import recorded
from worker.contract.settings import SETTINGS

# The variables of all settings with a key in cluster.toml, with the values they have if the file sets none.
FROM_THE_FILE = {setting.variable: str(setting.default) for setting in SETTINGS.values() if setting.table is not None}

PHOTOS, WIDE = "/models/the photos", "/models/100% wide; really"


def make_cluster(photos: str = PHOTOS, limits: str = "", port: int = 8080) -> Cluster:
    return parse_cluster(
        f'port = {port}\n[limits]\n{limits}\n[[models]]\nname = "photos"\nfolder = {json.dumps(photos)}\n'
        f'[[models]]\nname = "wide"\nfolder = "{WIDE}"\n',
        "c.toml",
    )


def make_plan(cluster: Cluster, machine: str = "two-cores") -> Plan:
    return plan(cluster, {"this": recorded(machine)})


def ports(plans: Plan) -> dict[str, int]:
    return {worker.name: port for port, worker in enumerate(plans.workers, 8081)}
