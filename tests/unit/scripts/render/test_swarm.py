"""Tests of Docker Swarm's input, compared as exact text."""

import json
import re
from typing import Any

import pytest

from scripts.cluster.config import ROOT, parse_cluster
from scripts.render.common import NOTICE
from scripts.render.gateway import METRICS_IN_CONTAINER, METRICS_PORT
from scripts.render.swarm import CACHE, Pool, environment, keys_environment, members, service_name, workers
from tests.unit.scripts.render import FROM_THE_FILE

TEXT = 'port = 80\n[[models]]\nname = "photos"\nfolder = "/srv/wanwu/models/photos"\n'
POOL = Pool(4, "wanwu-worker-prepared:0123456789ab", 2_300_000_000, "v1", gpus=False)
CLUSTER = parse_cluster(TEXT, "c.toml")
EXPECTED = """{
 "version": "3.13",
 "services": {
  "photos": {
   "image": "wanwu-worker-prepared:0123456789ab",
   "networks": [
    "workers"
   ],
   "environment": {
    "HF_HUB_OFFLINE": "1",
    "WANWU_MODEL": "photos",
    "WANWU_MODEL_DIR": "/models/photos",
    "WANWU_BIND": "0.0.0.0:8000",
    "WANWU_CACHE": "/cache",
    "WANWU_VOLUME": "/models",
    "WANWU_ON_LOAD_ERROR": "exit",
FROM_THE_FILE
    "WANWU_VOLUME_ID": "v1"
   },
   "volumes": [
    {
     "type": "tmpfs",
     "target": "/tmp"
    },
    {
     "type": "bind",
     "source": "/etc/wanwu/slots.json",
     "target": "/etc/wanwu/slots.json",
     "read_only": true
    },
    {
     "type": "bind",
     "source": "/srv/wanwu/models",
     "target": "/models",
     "read_only": true
    },
    {
     "type": "volume",
     "source": "cache",
     "target": "/cache"
    }
   ],
   "read_only": true,
   "cap_drop": [
    "ALL"
   ],
   "init": true,
   "stop_grace_period": "23s",
   "logging": {
    "driver": "json-file",
    "options": {
     "max-size": "50m",
     "max-file": "5"
    }
   },
   "deploy": {
    "replicas": 4,
    "endpoint_mode": "dnsrr",
    "placement": {
     "constraints": [
      "node.labels.wanwu.serves == true"
     ],
     "preferences": [
      {
       "spread": "node.id"
      }
     ]
    },
    "update_config": {
     "parallelism": 1,
     "order": "stop-first",
     "monitor": "10s",
     "failure_action": "rollback"
    },
    "rollback_config": {
     "parallelism": 1,
     "order": "stop-first",
     "monitor": "10s",
     "failure_action": "pause"
    },
    "restart_policy": {
     "condition": "any",
     "delay": "2s"
    },
    "resources": {
     "limits": {
      "memory": "2300000000",
      "pids": 1024
     },
     "reservations": {
      "generic_resources": [
       {
        "discrete_resource_spec": {
         "kind": "slot",
         "value": 1
        }
       }
      ]
     }
    }
   }
  },
  "gateway": {
   "volumes": [
    {
     "type": "tmpfs",
     "target": "/gateway/tmp",
     "tmpfs": {
      "size": 1610612736
     }
    }
   ]
  }
 }
}
"""


def test_the_services_render_as_this_text() -> None:
    settings = "".join(f'    "{name}": "{value}",\n' for name, value in FROM_THE_FILE.items())
    expected = EXPECTED.replace("FROM_THE_FILE\n", settings)
    assert workers(CLUSTER, {"photos": POOL}, {"HF_HUB_OFFLINE": "1"}) == f"# {NOTICE}\n{expected}"


def test_a_service_on_gpus_sees_them_all() -> None:
    pool = Pool(1, "wanwu-worker-cuda:0123456789ab", 1, "v1", gpus=True)
    assert '"NVIDIA_VISIBLE_DEVICES": "all"' in workers(CLUSTER, {"photos": pool}, {})


def test_updates_are_monitored_for_the_requested_time() -> None:
    monitors = (
        workers(CLUSTER, {"photos": POOL}, {}, "2s"),
        environment(CLUSTER, "image", "/run/members.json", "text", "2s")["WANWU_MONITOR"],
    )
    assert (monitors[0].count('"monitor": "2s"'), monitors[1]) == (2, "2s")


def test_members_have_a_dns_name_for_every_model() -> None:
    cluster = parse_cluster(f'{TEXT}[[models]]\nname = "wide.v2"\nfolder = "/srv/wanwu/models/wide"\n', "c.toml")
    assert json.loads(members(cluster, "wanwu"))["pools"] == [
        {"model": "photos", "discover": "tasks.wanwu_photos:8000"},
        {"model": "wide.v2", "discover": f"tasks.wanwu_{service_name('wide.v2')}:8000"},
    ]


@pytest.mark.parametrize("model", ["photos", "resnet-18", "a" * 40])
def test_a_valid_model_name_is_the_services_name(model: str) -> None:
    assert service_name(model) == model


@pytest.mark.parametrize("model", ["wide.v2", "wide_v2", "a-", "a" * 63])
def test_an_invalid_model_name_gets_a_valid_service_name(model: str) -> None:
    name = service_name(model)
    assert name != model
    assert re.fullmatch(r"[a-z0-9](-*[a-z0-9]+)*", name)
    assert len(f"wanwu_{name}") <= 63


def test_two_models_never_share_a_service() -> None:
    names = ["wide.v2", "wide_v2", "wide-v2", "a" * 62, "a" * 63]
    assert len({service_name(name) for name in names}) == len(names)


def test_the_members_config_is_named_after_its_content() -> None:
    first, second = (environment(CLUSTER, "image", "/run/members.json", text) for text in ("one", "two"))
    assert first["WANWU_PORT"] == "80"
    assert first["WANWU_MEMBERS_NAME"] == "wanwu-members-7692c3ad3540"
    assert keys_environment("/run/keys.json", "one") == {
        "WANWU_KEYS": "/run/keys.json",
        "WANWU_KEYS_NAME": "wanwu-keys-7692c3ad3540",
    }
    assert first["WANWU_MEMBERS_NAME"] != second["WANWU_MEMBERS_NAME"]


def test_the_cache_folder_exists_in_the_image() -> None:
    assert f"install -d -o 10001 -g 10001 {CACHE}\n" in (ROOT / "worker/Dockerfile").read_text()


def test_the_certificate_is_a_secret_of_the_gateways_named_after_its_text() -> None:
    def stack(text: str) -> Any:
        given = workers(CLUSTER, {"photos": POOL}, {}, certificate=("/run/server.pem", text))
        return json.loads(given.split("\n", 1)[1])

    secret = {"source": "tls", "target": "/gateway/tls/server.pem", "uid": "10001", "gid": "10001", "mode": 0o400}
    assert stack("a")["services"]["gateway"]["secrets"] == [secret]
    names = {stack(text)["secrets"]["tls"]["name"] for text in "aab"}
    assert len(names) == 2
    assert stack("a")["secrets"]["tls"]["file"] == "/run/server.pem"
    assert "secrets" not in workers(CLUSTER, {"photos": POOL}, {})


def test_the_workers_network_is_encrypted_where_the_file_says_so() -> None:
    plain, secret = (parse_cluster(f"{TEXT}{table}", "c.toml") for table in ("", "[swarm]\nencrypted = true\n"))
    assert "encrypted" not in workers(plain, {"photos": POOL}, {})
    stack = json.loads(workers(secret, {"photos": POOL}, {}).partition("\n")[2])
    assert stack["networks"] == {"workers": {"driver_opts": {"encrypted": "true"}}}
    assert "\nnetworks:\n  workers:\n" in (ROOT / "compose/stack.yaml").read_text()


def test_the_gate_serves_metrics_in_its_container_and_the_servers_at_a_port_where_there_is_one() -> None:
    options = json.loads(members(CLUSTER, "wanwu"))["gateway"]["metrics"]
    assert options == {"listen": list(METRICS_IN_CONTAINER), "target_ms": 1000}
    port = parse_cluster(f"{TEXT}[metrics]\nport = 9000\n", "c.toml")
    found = [json.loads(workers(one, {"photos": POOL}, {}).split("\n", 1)[1]) for one in (CLUSTER, port)]
    published = {"target": METRICS_PORT, "published": 9000, "protocol": "tcp", "mode": "host"}
    assert [stack["services"]["gateway"].get("ports") for stack in found] == [None, [published]]
