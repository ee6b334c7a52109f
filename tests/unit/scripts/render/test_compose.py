"""Tests of Docker Compose's input, compared as exact text."""

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster.config import parse_cluster
from scripts.cluster.plan import plan
from scripts.render.common import NOTICE
from scripts.render.compose import (
    PORT,
    environment,
    images,
    published,
    with_images,
    with_workers,
    worker_texts,
    workers,
)
from scripts.render.gateway import METRICS_PORT
from tests.unit.hardware import recorded
from tests.unit.scripts.render import FROM_THE_FILE

IMAGES, MEMORY = {"photos": "wanwu-worker-prepared:0123456789ab"}, {"photos": 2_300_000_000}
HASHES, OFFLINE = {"photos": "0a1b"}, {"HF_HUB_OFFLINE": "1"}
WORKER_YAML = Path("/srv/wanwu/compose/worker.yaml")


ENTRANCE = '  "entrance": {\n   "ports": [\n    "8080:8080"\n   ]\n  }\n'


def rendered(machine: str, folder: str = "/models/photos", extra: str = "", worker_yaml: Path = WORKER_YAML) -> str:
    cluster = parse_cluster(f'[[models]]\nname = "photos"\nfolder = {json.dumps(folder)}\n{extra}', "c.toml")
    return workers(cluster, plan(cluster, {"this": recorded(machine)}), IMAGES, MEMORY, HASHES, OFFLINE, worker_yaml)


def services(text: str) -> dict[str, Any]:
    """Return the rendered services; the first line is a comment, the rest is JSON."""
    rendered_services: dict[str, Any] = json.loads(text.split("\n", 1)[1])["services"]
    del rendered_services["entrance"]
    return rendered_services


def expected(number: int, cpus: str, gpu: str = "", devices: str = "") -> str:
    return (
        f'  "photos-{number}": {{\n'
        '   "extends": {\n'
        '    "file": "/srv/wanwu/compose/worker.yaml",\n'
        '    "service": "worker"\n'
        "   },\n"
        '   "image": "wanwu-worker-prepared:0123456789ab",\n'
        f'   "cpuset": "{cpus}",\n'
        '   "mem_limit": 2300000000,\n'
        '   "environment": {\n'
        '    "HF_HUB_OFFLINE": "1",\n'
        '    "WANWU_MODEL": "photos",\n'
        '    "WANWU_MODEL_DIR": "/models/photos",\n'
        f'    "WANWU_WORKER": "photos-{number}",\n'
        f'    "WANWU_SLOT": "this-{"gpu" if gpu else "cpu"}{number}",\n'
        f'    "WANWU_CPUS": "{cpus}",\n'
        f'    "WANWU_GPU": "{gpu}",\n'
        f'    "WANWU_BIND": "0.0.0.0:{PORT}",\n'
        + ",\n".join(f'    "{name}": "{value}"' for name, value in FROM_THE_FILE.items())
        + "\n   },\n"
        '   "volumes": [\n'
        "    {\n"
        '     "type": "bind",\n'
        '     "source": "/srv/models/photos",\n'
        '     "target": "/models/photos",\n'
        '     "read_only": true,\n'
        '     "bind": {\n'
        '      "create_host_path": false\n'
        "     }\n"
        "    },\n"
        "    {\n"
        '     "type": "volume",\n'
        f'     "source": "cache-photos-{number}",\n'
        '     "target": "/cache"\n'
        "    }\n"
        "   ],\n"
        f'   "stop_grace_period": "23s"{devices},\n'
        '   "labels": {\n    "wanwu.model": "0a1b"\n   }\n'
        "  }"
    )


def test_workers_on_cpus_render_as_this_text() -> None:
    assert rendered("two-cores", "/srv/models/photos") == (
        f'# {NOTICE}\n{{\n "services": {{\n{expected(0, "0")},\n{expected(1, "1")},\n{ENTRANCE} }},\n'
        ' "volumes": {\n  "cache-photos-0": {},\n  "cache-photos-1": {}\n }\n}\n'
    )


def test_a_worker_on_a_gpu_renders_with_its_uuid() -> None:
    text = rendered("eight-gpus", "/srv/models/photos")
    gpu = recorded("eight-gpus").gpus[0].uuid
    first = services(text)["photos-0"]
    devices = (
        ',\n   "deploy": {\n    "resources": {\n     "reservations": {\n      "devices": [\n       {\n'
        '        "driver": "nvidia",\n'
        f'        "device_ids": [\n         "{gpu}"\n        ],\n'
        '        "capabilities": [\n         "gpu"\n        ]\n       }\n      ]\n     }\n    }\n   }'
    )
    assert text.startswith(f'# {NOTICE}\n{{\n "services": {{\n{expected(0, first["cpuset"], gpu, devices)},\n')
    device_ids = [
        device["device_ids"]
        for service in services(text).values()
        for device in service["deploy"]["resources"]["reservations"]["devices"]
    ]
    assert device_ids == [[gpu.uuid] for gpu in recorded("eight-gpus").gpus]


@pytest.mark.parametrize("machine", ["two-cores", "two-sockets", "eight-gpus", "mig"])
def test_every_worker_has_a_cpuset_and_no_quota(machine: str) -> None:
    for service in services(rendered(machine)).values():
        assert service["cpuset"] == service["environment"]["WANWU_CPUS"]
        assert not service.keys() & {"cpus", "cpu_quota", "cpu_shares", "cpu_period"}
        assert "limits" not in service.get("deploy", {}).get("resources", {})


def test_every_limit_reaches_the_worker_and_it_may_drain_before_it_is_stopped() -> None:
    extra = "[limits]\ndrain_s = 7\ndeadline_s = 11\n"
    service = services(rendered("two-cores", extra=extra))["photos-0"]
    assert service["environment"].keys() >= FROM_THE_FILE.keys()
    assert service["environment"]["WANWU_DRAIN_S"] == "7"
    assert service["stop_grace_period"] == "23s"


def test_the_environment_renders_as_this_text() -> None:
    cluster = parse_cluster('port = 80\n[[models]]\nname = "photos"\nfolder = "/models/photos"\n', "c.toml")
    folders = Path("/srv/my run/members"), Path("/srv/my run/tls")
    text = environment(cluster, "wanwu-gateway:0123456789ab", "wanwu-gateway:before", *folders)
    assert text == (
        f"# {NOTICE}\n"
        "WANWU_ENTRANCE_IMAGE='wanwu-gateway:before'\n"
        "WANWU_GATEWAY_IMAGE='wanwu-gateway:0123456789ab'\n"
        "WANWU_MEMBERS='/srv/my run/members'\n"
        "WANWU_TLS='/srv/my run/tls'\n"
        "WANWU_ENTRANCE_OPTIONS=''\n"
        f"WANWU_GATEWAY_TMP='{(1280 + 256) << 20}'\n"
        f"WANWU_GATEWAY_MEMORY='{(2048 + 1024) << 20}'\n"
    )
    assert images(text) == ["wanwu-gateway:before", "wanwu-gateway:0123456789ab"]
    assert images(with_images(text, "new", "new")) == ["new", "new"]


def test_a_dollar_sign_in_a_path_is_escaped() -> None:
    assert '"source": "/models/$${HOME} $$1"' in rendered("two-cores", "/models/${HOME} $1")


def test_workers_can_be_exchanged_and_the_rest_stays() -> None:
    text = rendered("two-cores", "/srv/$models")
    texts = worker_texts(text)
    assert texts.keys() == {"photos-0", "photos-1"}
    assert with_workers(text, texts) == text
    changed = with_workers(text, {"photos-2": texts["photos-1"]})
    assert worker_texts(changed) == {"photos-2": texts["photos-1"]}
    assert published(changed) == published(text) == ["8080:8080"]
    # Release 0.1.0 published the gateway's own port.
    assert published(with_workers(text.replace('"entrance"', '"gateway"'), texts)) == ["8080:8080"]


def test_the_gateway_is_published_at_the_addresses_to_listen_on() -> None:
    text = rendered("two-cores", extra='[gateway]\nlisten = ["127.0.0.1", "::1"]\n')
    assert published(text) == ["127.0.0.1:8080:8080", "[::1]:8080:8080"]


@pytest.mark.parametrize(
    ("listen", "address"), [("", "127.0.0.1:"), ("listen = []", ""), ('listen = ["::1"]', "[::1]:")]
)
def test_metrics_with_a_port_of_their_own_are_published_at_theirs(listen: str, address: str) -> None:
    extra = f"[metrics]\nport = 9000\n{listen}\n"
    assert published(rendered("two-cores", extra=extra)) == ["8080:8080", f"{address}9000:{METRICS_PORT}"]
    cluster = parse_cluster(f'{extra}[[models]]\nname = "photos"\nfolder = "/models"\n', "c.toml")
    assert f"\nWANWU_ENTRANCE_OPTIONS='--port {METRICS_PORT}'\n" in environment(cluster, "", "", Path(), Path())
