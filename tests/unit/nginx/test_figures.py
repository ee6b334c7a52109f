"""Figures of nginx.conf and names that must agree with other files."""

import re

from nginx.gate.__main__ import DEFAULT_INTERVAL_S, INTERVAL_VARIABLE
from nginx.gate.events import BATCH_S
from nginx.gate.freshness import FRESH, window
from nginx.gate.options import DEFAULTS
from nginx.gate.probe import PATIENCE_S
from nginx.gate.rules import FAILURES_TO_LEAVE
from nginx.gate.schedule import JITTER, TICK_S
from nginx.gate.upstreams import KEEPALIVE_S
from scripts.cluster.config import ROOT
from scripts.runtimes.local.launch import INHERITED_VARIABLES
from worker.contract.errors import ErrorCode, torchserve_type
from worker.contract.limits import LIMITS, decoding_limit_s

RELOAD_S = 0.25  # of Nginx, its check of the list included


def test_every_runtime_passes_the_interval_on() -> None:
    assert INTERVAL_VARIABLE in INHERITED_VARIABLES
    for name in ("compose.yaml", "stack.yaml"):
        assert f"environment: [{INTERVAL_VARIABLE}" in (ROOT / "compose" / name).read_text()


def test_a_frozen_worker_is_out_within_four_and_a_half_seconds() -> None:
    assert len(PATIENCE_S) == FAILURES_TO_LEAVE
    first = float(DEFAULT_INTERVAL_S) * (1 + JITTER)  # after one that was answered just before
    found = first + FAILURES_TO_LEAVE * TICK_S + sum(PATIENCE_S) + BATCH_S
    assert found + RELOAD_S <= 4.5


def figure(directive: str, unit: str) -> int:
    """Return the number that nginx.conf sets for `directive`; it must occur once."""
    text = (ROOT / "nginx/nginx.conf").read_text()
    found = re.findall(rf"^\s*{directive} (\d+){unit};", text, re.MULTILINE)
    assert len(found) == 1
    return int(found[0])


def test_the_gate_and_the_worker_have_the_same_body_limit() -> None:
    assert DEFAULTS.max_body_mb == LIMITS["max_body_mb"].default
    assert "larger than $max_body," in (ROOT / "nginx/errors.conf").read_text()


def test_torchserves_names_of_errors_are_the_workers() -> None:
    text = (ROOT / "nginx/errors.conf").read_text().partition("map $error_code $error_type {")[2].partition("}")[0]
    names = dict(line.rstrip(";").split() for line in text.strip().splitlines())
    assert names.pop("default") == torchserve_type(ErrorCode.BAD_REQUEST)
    assert names == {code.value: torchserve_type(code) for code in ErrorCode if code.value in names}


def test_nginx_waits_longer_than_the_longest_deadline_of_a_worker() -> None:
    assert figure("proxy_read_timeout", "s") > LIMITS["deadline_s"].maximum


def gunicorn_setting(name: str) -> int:
    found = re.search(rf"^{name} = (\d+)$", (ROOT / "worker/gunicorn.conf.py").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def test_a_second_try_is_left_to_workers_that_cannot_be_reached_or_die() -> None:
    window = figure("proxy_next_upstream_timeout", "s")
    assert figure("proxy_connect_timeout", "s") < figure("proxy_send_timeout", "s") < window
    # gunicorn looks once a second, and kills a frozen worker at the second look after its timeout; it may be slow.
    assert gunicorn_setting("timeout") + 12 < window < figure("proxy_read_timeout", "s")
    # A worker counts its own time, of which a busy machine gives it less.
    limit_s, deadline_s = (LIMITS[name].default for name in ("inference_limit_s", "deadline_s"))
    assert 2 * limit_s < deadline_s < window
    assert 2 * decoding_limit_s(limit_s) < window
    assert figure("worker_shutdown_timeout", "s") > window + figure("proxy_read_timeout", "s")


def test_the_page_waits_longer_than_nginx_does() -> None:
    found = re.search(r"^const SILENCE_MS = (\d+)_000;", (ROOT / "nginx/web/http.js").read_text(), re.MULTILINE)
    assert found
    waits = figure("proxy_next_upstream_timeout", "s") + figure("proxy_read_timeout", "s")
    assert int(found[1]) > max(waits, figure("client_body_timeout", "s"))


def test_nginx_and_the_gate_have_the_same_windows() -> None:
    text = (ROOT / "nginx/nginx.conf").read_text().partition("map $msec $fresh_file {")[2].partition("}\n    }")[0]
    rules = re.findall(r'"~(.*?)"\s+(\S+);', text)[:2]
    for seconds in (1795924390.0, 1795924394.999, 1795924395.0, 1795924399.5):
        (name,) = {
            re.sub(r"\$\{\w+\}", found[1], value)
            for rule, value in rules
            if (found := re.search(rule.replace("?<", "?P<"), f"{seconds:.3f}"))
        }
        assert name == f"{FRESH}{window(seconds)}"


def test_nginx_closes_idle_connections_before_gunicorn_does() -> None:
    assert gunicorn_setting("keepalive") > KEEPALIVE_S
