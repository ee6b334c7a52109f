"""Host names, proxies and addresses in the log, as directives."""

import json
import re

import pytest

from nginx.gate.clients import OWN_NAMES, Access, render_access
from nginx.gate.members import MembersError
from nginx.gate.options import parse_options
from scripts.cluster.config import parse_cluster
from scripts.render.gateway import members_document

MODEL = '[[models]]\nname = "a"\nfolder = "b"\n'


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1", "10.0.0.5", "[::1]", "[fd00::5]", "localhost", "app.localhost", "gpu1", "gpu_1", "gpu1.local",
     "a.b.lan", "host.docker.internal", "x.home.arpa", "gpu1.local."],
)  # fmt: skip
def test_names_that_no_other_site_can_own_are_taken(name: str) -> None:
    assert re.fullmatch(OWN_NAMES, name)


@pytest.mark.parametrize(
    "name",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3.4.5", "local.evil.com", "evillocal.com",
     "[::1].evil.com", "10.0.0.5.nip.io", ".lan", "a.lan\n.com"],
)  # fmt: skip
def test_names_of_other_sites_are_not(name: str) -> None:
    assert not re.fullmatch(OWN_NAMES, name)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "loopback"),
        ('[gateway]\nhosts = ["a.example.org"]\n', "everywhere"),
        ('[gateway]\nlisten = ["127.0.0.1", "::1"]\n', "everywhere"),
        ('[gateway]\nlisten = ["127.0.0.1", "10.0.0.1"]\n', "loopback"),
        ("[tls]\nenabled = true\n", "nowhere"),
        ('[tls]\nenabled = true\n[gateway]\nhosts = ["a.example.org"]\n', "everywhere"),
    ],
)
def test_names_are_checked_where_a_foreign_one_can_do_harm(text: str, where: str) -> None:
    access = parse_options(members_document(parse_cluster(text + MODEL, "c.toml"), [], ["gpu1.example.org"])).access
    assert access.check_hosts == where
    assert access.hosts[-1] == "gpu1.example.org"


def test_proxies_are_named_to_nginx() -> None:
    lines = render_access(Access(trusted_proxies=("10.0.0.0/8", "::1/128")))
    assert [line for line in lines if "real_ip" in line] == [
        "real_ip_header X-Forwarded-For;",
        "real_ip_recursive on;",
        "set_real_ip_from 10.0.0.0/8;",
        "set_real_ip_from ::1/128;",
    ]
    assert not any("real_ip" in line for line in render_access(Access()))


@pytest.mark.parametrize(
    "given",
    [[], {"x": 1}, {"hosts": "a"}, {"hosts": ["a b"]}, {"hosts": ["a;"]}, {"check_hosts": "x"}, {"anonymise": 1},
     {"trusted_proxies": ["x"]}, {"trusted_proxies": ["::1; x"]}, {"trusted_proxies": [1]}],
)  # fmt: skip
def test_invalid_options_are_refused(given: object) -> None:
    with pytest.raises(MembersError, match=r"^gateway/access"):
        parse_options(json.dumps({"gateway": {"access": given}}))
