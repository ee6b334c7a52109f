"""What Nginx tells the gate of a request."""

import re

import pytest

from nginx.gate.exchange import FIELDS, parse_exchange, reports_full
from scripts.cluster.config import ROOT

TAG = "0123456789abcdef"
REST = "|200|0.001|4 0 1 3"  # the client's status, the answer's time, and connections


def framed(line: str, tag: str = TAG) -> bytes:
    return f"<190>Nov  8 12:36:50 {tag}: {line}".encode(errors="surrogateescape")


def test_nginx_sends_as_many_fields_as_are_read() -> None:
    text = (ROOT / "nginx/nginx.conf").read_text().partition("log_format answers ")[2].partition(";")[0]
    assert len("".join(re.findall("'(.*?)'", text)).split("|")) == FIELDS


def test_a_request_has_its_attempts_its_status_and_the_connections() -> None:
    line = "a:1, b:2 : c:3|502, 404, 200|-, 0.010, 0.100|0, 9, 9|9|200|2.000, 0.010, 0.150|4 0 1 3"
    exchange = parse_exchange(framed(line), TAG)
    assert exchange
    assert [(one.address, one.status, one.retried) for one in exchange.attempts] == [
        ("a:1", "502", True), ("b:2", "404", False), ("c:3", "200", False)
    ]  # fmt: skip
    assert exchange.first_byte_s == pytest.approx(2.11)
    assert (exchange.status, exchange.connections) == ("200", (4, 0, 1, 3))


def test_a_request_that_met_no_worker_has_no_attempt_and_no_time() -> None:
    exchange = parse_exchange(framed("-|-|-|-||401|-|1 0 1 0"), TAG)
    assert exchange
    assert (exchange.attempts, exchange.status, exchange.first_byte_s) == ((), "401", None)
    unanswered = parse_exchange(framed("pool_a|502|-|0||503|0.000|1 0 1 0"), TAG)
    assert unanswered
    assert (unanswered.attempts[0].address, unanswered.first_byte_s) == ("pool_a", None)


@pytest.mark.parametrize("line", ["", "a:1", "full", "a:1|200|0.001|more", "a|b|c|d|e|f|g|h", "\udcff|200"])
def test_any_other_line_yields_nothing(line: str) -> None:
    assert parse_exchange(framed(line), TAG) is None


def test_a_datagram_without_our_tag_yields_nothing() -> None:
    line = f"a:1|500|0.001|9|9{REST}"
    assert parse_exchange(framed(line), TAG)
    assert parse_exchange(framed(line, "nginx"), TAG) is None
    assert parse_exchange(line.encode(), TAG) is None


def test_nginx_reports_that_bodies_take_every_place() -> None:
    assert reports_full(framed("full"), TAG)
    assert not reports_full(framed("full", "other"), TAG)
