"""What Docker Swarm reads, as exact text and as the stack's own reader understands it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT, parse_cluster
from scripts.render.swarm import MONITOR, SERVES, environment, keys_environment, members, workers
from scripts.runtimes.swarm.nodes import GATEWAY
from tests.unit.scripts.render.test_swarm import POOL, TEXT


@pytest.mark.skipif(
    not shutil.which("docker"), reason="needs the docker command, to read as a stack is read; no engine"
)
def test_docker_stack_reads_the_intended_values(tmp_path: Path) -> None:
    cluster = parse_cluster(TEXT.replace("/srv/wanwu/models", "/srv/$HOME models"), "c.toml")
    (tmp_path / "members.json").write_text(members(cluster, "wanwu"))
    (tmp_path / "workers.yaml").write_text(workers(cluster, {"photos": POOL}, {}, certificate=("/a", "pem")))
    variables = environment(cluster, "wanwu-gateway:0123456789ab", str(tmp_path / "members.json"), "text")
    (tmp_path / "keys.json").write_text('{"keys": []}')
    variables |= keys_environment(str(tmp_path / "keys.json"), '{"keys": []}')
    files = [f"--compose-file={file}" for file in (ROOT / "compose/stack.yaml", tmp_path / "workers.yaml")]
    done = subprocess.run(
        ["docker", "stack", "config", *files], env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "source: /srv/$HOME models" in done.stdout
    assert done.stdout.count(f"monitor: {MONITOR}\n") == 4
    for line in (
        "image: wanwu-gateway:0123456789ab",
        "published: 80",
        "mode: host",
        "size: 1610612736",
        "target: /gateway/tls/server.pem",
        "file: /a",
        f"name: {variables['WANWU_MEMBERS_NAME']}",
        f"file: {tmp_path}/members.json",
        f"name: {variables['WANWU_KEYS_NAME']}",
        f"file: {tmp_path}/keys.json",
        "target: /gateway/members/keys.json",
        f"- node.labels.{GATEWAY} == true",
        f"- node.labels.{SERVES} == true",
    ):
        assert line in done.stdout
    assert done.stdout.count("target: /gateway/tmp\n") == 1
    assert done.stdout.count("endpoint_mode: dnsrr") == 2
