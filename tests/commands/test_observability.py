"""`make up OBSERVABILITY=1`: Debian's Prometheus scrapes a real service and answers every query of the dashboard."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from scripts.base.http import get
from scripts.runtimes.preflight import port_faults
from tests import folders
from tests.commands.services import PATIENT
from tests.images import encoded
from tests.local.gateway_harness import ask
from tests.service import Service, create, free_ports, table
from tests.unit.test_observability import FOLDER, queries, rules
from tests.wait import until

IMAGE, PNG = encoded(folders.image(folders.RED), "PNG"), {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def prometheus() -> int:
    """The port of Prometheus."""
    return free_ports(1)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, prometheus: int) -> Iterator[Service]:
    models = table("bright", folders.openvino_folder(tmp_path_factory.mktemp("models") / "bright"))
    metrics = f"[metrics]\nprometheus_port = {prometheus}\n"
    service = create(tmp_path_factory.mktemp("watched"), models, PATIENT + metrics)
    result = service.make("up", "OBSERVABILITY=1")
    assert result.returncode == 0, result.stderr + service.logs()
    assert f"Prometheus: http://127.0.0.1:{prometheus}/alerts" in result.stdout
    assert "no Grafana: Debian has no package of it: import compose/observability/dashboard.json" in result.stdout
    yield service
    service.make("down")


def asked(port: int, path: str, **parameters: str) -> Any:
    status, answer = get(f"http://127.0.0.1:{port}/api/v1/{path}?{urlencode(parameters)}", timeout_s=60)
    assert (status, answer.get("status")) == (200, "success")
    return answer["data"]


def has_data(service: Service, port: int, query: str) -> bool:
    """Send another image, as rates need, and return whether `query` gives data."""
    assert ask(service.port, "POST", "/predict", IMAGE, PNG).status == 200
    return bool(asked(port, "query", query=query)["result"])


def test_promtool_accepts_the_files_the_alerts_tests_and_what_is_scraped(watched: Service) -> None:
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "tests.yml"]):
        result = subprocess.run(["promtool", *command], cwd=FOLDER, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
    text = ask(watched.port, "GET", "/metrics").body
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("query", queries())
def test_every_query_of_the_dashboard_gives_data(watched: Service, prometheus: int, query: str) -> None:
    until(query, lambda: has_data(watched, prometheus, query))


def test_every_rule_is_loaded_and_well_and_no_alert_fires(watched: Service, prometheus: int) -> None:
    def found() -> list[dict[str, Any]]:
        return [rule for group in asked(prometheus, "rules")["groups"] for rule in group["rules"]]

    until("all were evaluated", lambda: all(rule["health"] != "unknown" for rule in found()))
    assert {rule["name"]: (rule["health"], rule.get("state") == "firing") for rule in found()} == {
        rule.get("record") or rule["alert"]: ("ok", False)
        for name in ("rules.yml", "alerts.yml")
        for rule in rules(name)
    }


def test_both_workers_are_told_with_their_memory_files_and_model(watched: Service, prometheus: int) -> None:
    for metric in ("wanwu_resident_memory_bytes", "wanwu_open_files", "wanwu_model_info", "wanwu_golden_score"):
        until(metric, lambda metric=metric: asked(prometheus, "query", query=metric)["result"])  # type: ignore[misc]
        rows = asked(prometheus, "query", query=metric)["result"]
        assert {(row["metric"]["worker"], row["metric"]["model"]) for row in rows} == {
            ("bright-0", "bright"), ("bright-1", "bright")
        }  # fmt: skip
        assert all(float(row["value"][1]) > 0 for row in rows)


def test_prometheus_runs_as_the_service_does_and_listens_to_this_machine(watched: Service, prometheus: int) -> None:
    listening = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in listening.splitlines() if f":{prometheus} " in line]
    assert line.split()[3] == f"127.0.0.1:{prometheus}"
    pid = re.findall(r"pid=(\d+)", line)[0]
    assert Path(f"/proc/{pid}").stat().st_uid == (watched.run_dir / "logs").stat().st_uid
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert re.search(r"Max data size +1073741824 +1073741824", limits)


def test_a_later_up_keeps_it_until_it_is_told_not_to(watched: Service, prometheus: int) -> None:
    address = f"http://127.0.0.1:{prometheus}/alerts"
    assert address in watched.up()
    renewed = watched.make("rollout")
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    until("it goes on", lambda: asked(prometheus, "query", query="up")["result"])
    ended = watched.make("up", "OBSERVABILITY=0")
    assert (ended.returncode, address in ended.stdout) == (0, False)
    assert port_faults([prometheus]) == []
    assert address not in watched.up()
    assert ask(watched.port, "POST", "/predict", IMAGE, PNG).status == 200
    assert watched.make("up", "OBSERVABILITY=yes").returncode != 0


def test_down_ends_it(watched: Service, prometheus: int) -> None:
    assert watched.make("up", "OBSERVABILITY=1").returncode == 0
    watched.down()
    assert port_faults([prometheus]) == []
    assert [path.name for path in watched.run_dir.iterdir()] == ["logs"]
