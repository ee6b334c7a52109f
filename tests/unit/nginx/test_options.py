"""The gateway's options."""

import pytest

from nginx.gate.members import MembersError
from nginx.gate.options import DEFAULTS, Metrics, Options, Tls, parse_options, render_options


def test_the_origins_of_other_pages_are_rendered() -> None:
    text = "\n".join(render_options(Options(5, ("http://a:1", "https://b"))))
    assert "client_max_body_size 5m;" in text
    assert '{\n    default "";\n    "http://a:1" $http_origin;\n    "https://b" $http_origin;\n}' in text
    assert 'map "" $cors_vary {\n    default "Origin";\n}' in text
    anyone = "\n".join(render_options(Options(cors_origins=("*",))))
    assert 'map $http_origin $cors_origin {\n    default "*";\n}' in anyone
    assert 'map "" $cors_vary {\n    default "";\n}' in anyone


def test_the_certificate_is_named_with_its_digest_so_that_a_changed_one_is_loaded() -> None:
    text = "\n".join(render_options(Options(tls=Tls(2)), "0123"))
    assert "ssl_certificate tls/server.pem;  # 0123\nssl_certificate_key tls/server.pem;" in text
    assert '$strict_transport_security {\n    on "max-age=172800";' in text
    assert "ssl_" not in "\n".join(render_options(Options(), "0123"))


def test_options_are_read_and_have_defaults() -> None:
    assert parse_options('{"pools": []}') == DEFAULTS
    given = '{"gateway": {"max_body_mb": 5, "cors_origins": ["http://a:1"], "tls": {"hsts_days": 3}}}'
    assert parse_options(given) == Options(5, ("http://a:1",), Tls(3))
    given = '{"gateway": {"metrics": {"listen": ["127.0.0.1:1", "[::1]:2"], "target_ms": 5}}}'
    assert parse_options(given).metrics == Metrics(("127.0.0.1:1", "[::1]:2"), 5)


@pytest.mark.parametrize(
    "text",
    [
        '{"gateway": {"metrics": []}}', '{"gateway": {"metrics": {"port": 1}}}',
        '{"gateway": {"metrics": {"listen": "127.0.0.1:1"}}}', '{"gateway": {"metrics": {"listen": ["localhost:1"]}}}',
        '{"gateway": {"metrics": {"listen": [1]}}}', '{"gateway": {"metrics": {"target_ms": 0}}}',
        '{"gateway": []}', '{"gateway": {"x": 1}}', '{"gateway": {"max_body_mb": 0}}',
        '{"gateway": {"max_body_mb": "5"}}', '{"gateway": {"max_body_mb": true}}',
        '{"gateway": {"cors_origins": "*"}}', '{"gateway": {"cors_origins": ["http://a/"]}}',
        '{"gateway": {"tls": true}}', '{"gateway": {"tls": {"hsts_days": "1"}}}', '{"gateway": {"tls": {}}}',
        '{"gateway": {"cors_origins": ["a"]}}', r'{"gateway": {"cors_origins": ["http://a\"; x"]}}',
    ],
)  # fmt: skip
def test_invalid_options_are_refused(text: str) -> None:
    with pytest.raises(MembersError, match=r"^gateway"):
        parse_options(text)
