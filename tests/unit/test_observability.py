"""The files of compose/observability: they ask for what there is, and every alert is tested."""

import json
import re
from typing import Any

import yaml

from nginx.gate.metrics import METRICS, PREFIX
from scripts.cluster.config import ROOT, parse_cluster
from scripts.render.gateway import METRICS_PORT
from scripts.render.observability import environment, program
from worker.process.metrics import create_metrics

FOLDER = ROOT / "compose/observability"
MODEL = '[[models]]\nname = "m"\nfolder = "m"\n'


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in read(name)["groups"] for rule in group["rules"]]


def queries() -> list[str]:
    """Return every query of the dashboard."""
    panels = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_rules_alerts_and_the_dashboard_ask_for_what_is_exported_or_recorded() -> None:
    exported = {PREFIX + name for name in METRICS}
    for family in create_metrics(lambda: 0, lambda: 0).registry.collect():
        exported.add(family.name + {"counter": "_total", "info": "_info"}.get(family.type, ""))
    recorded = {rule["record"] for rule in rules("rules.yml")}
    asked = [rule["expr"] for name in ("rules.yml", "alerts.yml") for rule in rules(name)] + queries()
    names = {name for expression in asked for name in re.findall(r"\bwanwu[_:][\w:]+", expression)}
    assert {
        re.sub(r"_(bucket|sum|count)$", "", name) if ":" not in name else name for name in names
    } <= exported | recorded
    assert recorded <= names


def test_every_alert_is_tested_where_it_fires_and_where_it_does_not() -> None:
    alerts = {rule["alert"] for rule in rules("alerts.yml")}
    tested = [test for group in read("tests.yml")["tests"] for test in group["alert_rule_test"]]
    assert {test["alertname"] for test in tested if test["exp_alerts"]} == alerts
    assert {test["alertname"] for test in tested if not test["exp_alerts"]} == alerts
    assert all(set(rule["labels"]) == {"severity"} and rule["annotations"]["summary"] for rule in rules("alerts.yml"))


def test_the_gate_s_port_in_a_container_is_the_one_that_is_scraped() -> None:
    (target,) = json.loads((FOLDER / "targets.json").read_text())
    assert target["targets"] == [f"gateway:{METRICS_PORT}"]
    assert (
        f"{{name: metrics, containerPort: {METRICS_PORT}}}"
        in (ROOT / "compose/kubernetes/gateway/gateway.yaml").read_text()
    )


def test_prometheus_is_bounded_in_disk_and_memory_and_open_to_this_machine_alone() -> None:
    cluster = parse_cluster(f"[metrics]\nretention_mb = 500\nprometheus_port = 9999\n{MODEL}", "c.toml")
    home = "%(here)s/observability"
    assert program(cluster).splitlines()[1:] == [
        "[program:prometheus]",
        f"command=prlimit --data=1073741824 prometheus '--config.file={home}/prometheus.yml' "
        f"'--storage.tsdb.path={home}/data' '--storage.tsdb.retention.size=500MB' '--storage.tsdb.retention.time=30d' "
        "'--web.listen-address=127.0.0.1:9999'",
        'environment=GOMEMLIMIT="512MiB"',
        "stdout_logfile=%(here)s/../logs/prometheus.log",
        "redirect_stderr=true",
        "autorestart=true",
        "priority=400",
    ]
    for service in read("compose.yaml")["services"].values():
        assert service["ports"][0].startswith("127.0.0.1:")
        assert service["mem_limit"]


def test_grafana_is_started_where_its_image_is() -> None:
    cluster = parse_cluster(MODEL, "c.toml")
    without, with_one = (
        environment(cluster, "wanwu-prometheus:1", "net", grafana) for grafana in ("", "grafana/grafana:9")
    )
    assert without.splitlines()[1:] == [
        "WANWU_PROMETHEUS_IMAGE='wanwu-prometheus:1'",
        "WANWU_PROMETHEUS_PORT='9090'",
        "WANWU_RETENTION_MB='2048'",
        "WANWU_GATEWAY_NETWORK='net'",
        "WANWU_GRAFANA_IMAGE='none'",
        "WANWU_GRAFANA_PORT='3000'",
        "COMPOSE_PROFILES=''",
    ]
    assert "COMPOSE_PROFILES='grafana'" in with_one
    named = set(re.findall(r"\$\{(\w+):\?", (FOLDER / "compose.yaml").read_text()))
    assert named == {line.partition("=")[0] for line in without.splitlines()[1:-1]}
