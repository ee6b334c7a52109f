"""What Compose reads, as exact text and as its own reader understands it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT, parse_cluster
from scripts.render.compose import environment
from scripts.render.gateway import METRICS_PORT
from tests.unit.scripts.render.test_compose import rendered


@pytest.mark.skipif(not shutil.which("docker"), reason="needs the docker command, to read as Compose does; no engine")
def test_compose_reads_the_intended_values(tmp_path: Path) -> None:
    folder = "/models/${HOME} $1 it's 100%"
    cluster = parse_cluster(
        'port = 8088\nmetrics.port = 9000\n[[models]]\nname = "photos"\nfolder = "/models"\n', "c.toml"
    )
    members = tmp_path / "a run: $HOME #1"
    (tmp_path / "compose.env").write_text(
        environment(cluster, "wanwu-gateway:0123456789ab", "wanwu-gateway:before", members, members / "tls")
    )
    (tmp_path / "workers.yaml").write_text(rendered("two-cores", folder, worker_yaml=ROOT / "compose/worker.yaml"))
    files = ["--file", str(ROOT / "compose/compose.yaml"), "--file", str(tmp_path / "workers.yaml")]
    command = ["docker", "compose", "--env-file", str(tmp_path / "compose.env"), *files, "config", "--format", "json"]
    read = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["services"]
    assert list(read) == ["entrance", "gateway", "photos-0", "photos-1"]
    # Compose shows a dollar sign twice again.
    mounted = {
        name: [(volume["type"], volume["source"].replace("$$", "$")) for volume in service["volumes"]]
        for name, service in read.items()
    }
    for number in (0, 1):
        assert mounted[f"photos-{number}"] == [("bind", folder), ("volume", f"cache-photos-{number}")]
    assert mounted["gateway"] == [("volume", "entrance"), ("bind", str(members)), ("bind", str(members / "tls"))]
    cache = next(volume["target"] for volume in read["photos-0"]["volumes"] if volume["type"] == "volume")
    assert read["photos-0"]["environment"]["WANWU_CACHE"] == cache
    assert f"install -d -o 10001 -g 10001 {cache}\n" in (ROOT / "worker/Dockerfile").read_text()
    assert read["entrance"]["ports"][0]["published"] == "8080"
    assert read["entrance"]["command"][-4:] == ["--port", "8080", "--port", str(METRICS_PORT)]
    assert read["photos-0"]["environment"]["HF_HUB_OFFLINE"] == "1"
    for service in read.values():
        assert (service["read_only"], service["init"], service["cap_drop"]) == (True, True, ["ALL"])
        assert (service["pull_policy"], service["security_opt"]) == ("never", ["no-new-privileges:true"])
        assert service["logging"]["options"] == {"max-file": "5", "max-size": "50m"}
        assert not any(volume.get("bind", {}).get("create_host_path") for volume in service["volumes"])
    assert [name for name, service in read.items() if "ports" in service] == ["entrance"]
    assert {name: list(service["networks"]) for name, service in read.items()} == {
        "photos-0": ["workers"], "photos-1": ["workers"], "gateway": ["workers"], "entrance": ["outside"],
    }  # fmt: skip
