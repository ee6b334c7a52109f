"""Render what runs Prometheus and Grafana beside a service: pure functions, tested as exact text."""

from scripts.cluster.config import Cluster
from scripts.render.common import NOTICE

PROGRAM = "prometheus"  # its name under supervisord
GO_MEMORY_MB, MEMORY_MB = 512, 1024  # Prometheus gives memory back at the first; more than the second it cannot have
RETENTION = "30d"


def program(cluster: Cluster) -> str:
    """Return supervisord's program; %(here)s is the rendered folder of the run directory."""
    home = "%(here)s/observability"
    options = {
        "config.file": f"{home}/prometheus.yml",
        "storage.tsdb.path": f"{home}/data",
        "storage.tsdb.retention.size": f"{cluster.metrics.retention_mb}MB",
        "storage.tsdb.retention.time": RETENTION,
        "web.listen-address": f"127.0.0.1:{cluster.metrics.prometheus_port}",
    }
    command = " ".join(f"'--{name}={value}'" for name, value in options.items())
    return (
        f"; {NOTICE}\n"
        f"[program:{PROGRAM}]\n"
        f"command=prlimit --data={MEMORY_MB << 20} prometheus {command}\n"
        f'environment=GOMEMLIMIT="{GO_MEMORY_MB}MiB"\n'
        f"stdout_logfile=%(here)s/../logs/{PROGRAM}.log\n"
        "redirect_stderr=true\n"
        "autorestart=true\n"
        "priority=400\n"
    )


def environment(cluster: Cluster, image: str, network: str, grafana: str) -> str:
    """Return the variables of compose/observability/compose.yaml as the text of an env file.

    `network` is that of the gateway; `grafana` is an image of Grafana, or "".
    """
    variables = {
        "WANWU_PROMETHEUS_IMAGE": image,
        "WANWU_PROMETHEUS_PORT": cluster.metrics.prometheus_port,
        "WANWU_RETENTION_MB": cluster.metrics.retention_mb,
        "WANWU_GATEWAY_NETWORK": network,
        "WANWU_GRAFANA_IMAGE": grafana or "none",
        "WANWU_GRAFANA_PORT": cluster.metrics.grafana_port,
        "COMPOSE_PROFILES": "grafana" if grafana else "",
    }
    return f"# {NOTICE}\n" + "".join(f"{name}='{value}'\n" for name, value in variables.items())
