"""Who may use the Teach page."""

import pytest

from scripts.teach_page.access import require
from scripts.teach_page.errors import Code, Refused

KEY = "k" * 32
OWN = {"Host": "127.0.0.1:8000", "X-Teach-Key": KEY}


def code(headers: dict[str, str], shows_report: bool = False) -> str:
    try:
        require(headers, KEY, shows_report)
    except Refused as refused:
        return refused.code
    return ""


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:80", "[::1]:8000"])
def test_the_services_own_page_on_this_machine_may(host: str) -> None:
    assert code(OWN | {"Host": host}) == ""
    assert code(OWN | {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}) == ""
    assert code(OWN | {"Host": host, "Origin": f"https://{host}"}) == ""


@pytest.mark.parametrize(
    "host",
    ["", "attacker.example", "127.0.0.1.attacker.example", "127.0.0.1@attacker.example", "10.0.0.1", "[::1", "["],
)
def test_another_host_name_may_not(host: str) -> None:
    assert code(OWN | {"Host": host}) == Code.OTHER_HOST


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
    ],
)
def test_another_page_may_not_not_even_see_a_report(headers: dict[str, str]) -> None:
    assert code(OWN | headers) == code(OWN | headers, shows_report=True) == Code.OTHER_ORIGIN


@pytest.mark.parametrize("key", ["", "K" * 32, KEY[1:], "ä"])
def test_whoever_lacks_the_key_may_not(key: str) -> None:
    assert code({"Host": "localhost", "X-Teach-Key": key}) == Code.WRONG_KEY
    assert code({"Host": "localhost"}) == Code.WRONG_KEY
    assert code({"Host": "localhost"}, shows_report=True) == ""  # its address holds another key
