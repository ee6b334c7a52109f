"""The codes against all that uses them: Nginx, the worker's sources, and the reference.

Clients rely on codes and statuses. What pins them is compose/reference/errors.md, which users read: a row may be added,
but none removed, and no code or status changed.
"""

import ast
import re

import pytest

from scripts.cluster.config import ROOT
from worker.contract.error_codes import RETRIED_STATUSES, ErrorCode, Sender

NGINX = ROOT / "nginx"
ERRORS_CONF = (NGINX / "errors.conf").read_text(encoding="utf-8")
REFERENCE = ROOT / "compose/reference/errors.md"
COLUMNS = ("code", "status", "sent by", "Nginx asks another worker", "meaning", "what the client should do")


def nginx_map(name: str) -> dict[str, str]:
    """Return the map of errors.conf that defines variable `name`: its values by key."""
    block = re.search(rf"^map \S+ \${name} {{\n(.*?)^}}$", ERRORS_CONF, re.MULTILINE | re.DOTALL)
    assert block, name
    rows = [re.fullmatch(r"\s+(\S+)\s+(.+);", line) for line in block[1].splitlines()]
    assert all(rows), block[1]
    return {row[1]: row[2] for row in rows if row}


def gateway_codes() -> dict[str, set[str]]:
    """Return the codes that Nginx answers each status with; "default" is the status of all others."""
    return {
        status: set(nginx_map("not_found_code").values()) if value.startswith("$") else {value}
        for status, value in nginx_map("error_code").items()
    }


def row(code: ErrorCode) -> str:
    cells = (
        f"`{code.value}`",
        code.status,
        code.sender.value,
        "yes" if code.retried else "no",
        code.meaning,
        code.remedy,
    )
    return f"| {' | '.join(map(str, cells))} |"


def test_codes_are_spelt_as_their_names_and_sorted_by_status() -> None:
    assert [code.value for code in ErrorCode] == [code.name.lower() for code in ErrorCode]
    assert [code.status for code in ErrorCode] == sorted(code.status for code in ErrorCode)


def test_nginx_answers_with_the_codes_declared_for_the_gateway() -> None:
    found = set.union(*gateway_codes().values())
    assert found == {code.value for code in ErrorCode if code.sender is not Sender.WORKER}


def test_nginx_answers_each_code_with_its_status() -> None:
    for status, codes in gateway_codes().items():
        assert {str(ErrorCode[code.upper()].status) for code in codes} == {"412" if status == "default" else status}


def test_every_status_that_nginx_can_fail_with_has_a_code_and_a_message() -> None:
    handled = set(re.findall(r"\b[3-5]\d\d\b", " ".join(re.findall(r"^error_page .*;$", ERRORS_CONF, re.MULTILINE))))
    own = {"494", "497", "502"}  # Nginx's own; clients see 431, 426 and 503
    unnamed = {"412"}  # what "default" stands for
    assert set(nginx_map("error_code")) == handled - own - unnamed | {"default"}
    assert nginx_map("error_code").keys() == nginx_map("error_message").keys()
    assert {*nginx_map("not_found_code").values()} == {"unknown_model", "unknown_route"}
    assert nginx_map("not_found_message").keys() == {"unknown_model", "default"}


def test_only_errors_conf_defines_error_messages() -> None:
    for file in NGINX.glob("*.conf"):
        if file.name != "errors.conf":
            assert not re.search(r'"(code|error)"|\breturn [45]\d\d [\'"]', file.read_text(encoding="utf-8")), file.name


def test_nginx_retries_after_the_statuses_declared_as_retried() -> None:
    (conditions,) = re.findall(r"^\s*proxy_next_upstream (.*);$", (NGINX / "nginx.conf").read_text(), re.MULTILINE)
    assert {int(status) for status in re.findall(r"http_(\d+)", conditions)} == RETRIED_STATUSES
    assert {code for code in ErrorCode if code.retried} == {ErrorCode.NOT_READY}


def test_the_worker_raises_exactly_the_codes_declared_for_it() -> None:
    raised = set()
    for file in (ROOT / "worker").rglob("*.py"):
        if file.name not in ("error_codes.py", "operations.py"):
            tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            raised |= {
                node.attr
                for node in tree
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ErrorCode"
            }
    assert raised == {code.name for code in ErrorCode if code.sender is not Sender.GATEWAY}


def test_the_reference_lists_every_code() -> None:
    lines = [line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert lines[0] == f"| {' | '.join(COLUMNS)} |"
    assert lines[2:] == [row(code) for code in ErrorCode]


@pytest.mark.parametrize("code", ErrorCode)
def test_meaning_and_remedy_are_sentences(code: ErrorCode) -> None:
    for text in (code.meaning, code.remedy):
        assert re.fullmatch(r"[A-Z].*\.", text)
        assert "|" not in text
