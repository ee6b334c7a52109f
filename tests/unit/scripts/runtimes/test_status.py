import json
from typing import Any

import pytest

from scripts.base.errors import CommandError
from scripts.runtimes.status import print_status, table
from tests.answers import answering
from tests.service import free_ports

READY: dict[str, Any] = {
    "server": "this", "slot": "this-cpu0", "worker": "photos-0", "state": "ready", "in": True, "model": "photos",
    "version": "1", "engine": "openvino", "precision": "int8", "in_flight": 12, "queued": 0,
    "reason": None, "since": "2026-01-01T00:00:00.000+00:00",
}  # fmt: skip
GONE = READY | {
    "slot": "this-gpu10", "worker": "wide-0", "state": "unreachable", "in": False, "model": "wide",
    "version": None, "engine": None, "precision": None, "in_flight": None, "queued": None,
}  # fmt: skip


def status_error(port: int) -> tuple[str, ...]:
    with pytest.raises(CommandError) as error:
        print_status(f"http://127.0.0.1:{port}")
    return error.value.lines


def document(*workers: dict[str, Any]) -> dict[str, tuple[int, bytes]]:
    return {"/status": (200, json.dumps({"as_of": "now", "models": [], "workers": workers}).encode())}


def test_the_table_is_this_exact_text() -> None:
    assert table([READY, GONE]) == (
        "server  slot        worker    state        in   model   version  engine    precision  in_flight  queued\n"
        "this    this-cpu0   photos-0  ready        yes  photos  1        openvino  int8       12         0\n"
        "this    this-gpu10  wide-0    unreachable  no   wide    -        -         -          -          -"
    )


def test_a_table_without_workers_has_its_header() -> None:
    assert table([]) == "server  slot  worker  state  in  model  version  engine  precision  in_flight  queued"


def test_the_status_of_the_gateway_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(document(READY)) as server:
        print_status(server.endpoint)
    assert capsys.readouterr().out == table([READY]) + "\n"
    assert [request for request, _, _ in server.requests] == ["GET /status"]


def test_workers_out_of_rotation_are_printed_and_reported_as_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    other = GONE | {"worker": "wide-1"}
    with answering(document(READY, GONE, other)) as server:
        assert status_error(server.port) == ("out of rotation: wide-0, wide-1; see `make logs`",)
    assert capsys.readouterr().out == table([READY, GONE, other]) + "\n"


@pytest.mark.parametrize("answer", [(404, b"{}"), (200, b"<html>"), (200, b'{"ok": true}'), b"SSH-2.0\r\n"])
def test_another_service_on_the_port_is_not_a_gateway(answer: tuple[int, bytes] | bytes) -> None:
    with answering({"/status": answer}) as server:
        assert status_error(server.port) == (f"no gateway answers at {server.endpoint}: run `make up`",)


def test_a_port_where_nothing_answers_is_an_error() -> None:
    port = free_ports(1)
    assert status_error(port) == (f"no gateway answers at http://127.0.0.1:{port}: run `make up`",)
