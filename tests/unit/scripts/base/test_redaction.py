"""What no text that leaves the machine has."""

import json
from typing import Any

import pytest

from scripts.base.redaction import redact


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a wanwu_0123456789abcdef_AbC-d_9 b", "a [removed] b"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nafter", "[removed]\nafter"),
        ("-----BEGIN PRIVATE KEY-----\ncut", "[removed]"),
        ("-----BEGIN CERTIFICATE-----\nMII", "-----BEGIN CERTIFICATE-----\nMII"),
        ("index https://me:pass@host/simple", "index https://[removed]@host/simple"),
        ('{"Authorization": "Bearer abc"}', '{"Authorization": "[removed]"}'),
        ("X-API-Key: abc\nnext", "X-API-Key: [removed]\nnext"),
        ("HF_TOKEN=hf_abc HOME=/root", "HF_TOKEN=[removed] HOME=/root"),
        ("docker swarm join --token SWMTKN-1-abc-def 10.0.0.1", "docker swarm join --token [removed] 10.0.0.1"),
        ("docker swarm unlock: SWMKEY-1-abc", "docker swarm unlock: [removed]"),
        ("MHcCAQ==\nab+/\n-----END RSA PRIVATE KEY-----\nafter", "[removed]\nafter"),
        ("https://me:p@ss@host/simple@2", "https://[removed]@host/simple@2"),
        ('password = "correct horse battery"', 'password = "[removed]"'),
        ("secret = 'a \"b' # c", "secret = '[removed]' # c"),
        ('token = """\na b\nc"""\nport = 1', 'token = "[removed]"\nport = 1'),
        ('passwords = [\n "a b",\n "c",\n]\nport = 1', "passwords = [removed]\nport = 1"),
        ('# api_key = "sk-1 2"', '# api_key = "[removed]"'),
        ("API_KEY=sk-1;2&3 next", "API_KEY=[removed] next"),
        ('passphrase = "a \\" b"', 'passphrase = "[removed]"'),
        ('密码 = "a b"\n口令：甲 乙', '密码 = "[removed]"\n口令：[removed] 乙'),
        ("  db-password: correct horse\nnext", "  db-password: [removed]\nnext"),
        ('password = "cut off', 'password = "[removed]"'),
        ("curl -H 'Authorization: Bearer abc' http://host/x", "curl -H 'Authorization: [removed]' http://host/x"),
        ('Authorization: Digest username="me", response="0f"', "Authorization: [removed]"),
        ("Cookie: a=1; b=2\nnext", "Cookie: [removed]\nnext"),
        ("sent Bearer eyJhbGciOi.J9 to it", "sent Bearer [removed] to it"),
        ("user&password: a1; b", "user&password: [removed] b"),
        ("login --password 'a b' --user me", "login --password '[removed]' --user me"),
        ("mine is hunter2hunter2", "mine is [removed]"),
        ('{"request_id": "one", "uri": "/predict?x=1@2"}', '{"request_id": "one", "uri": "/predict?x=1@2"}'),
        (
            'keys = true\nkey = "tls/server.key"\ntokenizer = "clip"',
            'keys = true\nkey = "tls/server.key"\ntokenizer = "clip"',
        ),
        ("secrets:\n  keys: {}\n", "secrets:\n  keys: {}\n"),
    ],
)
def test_secrets_are_removed_and_nothing_else(text: str, left: str) -> None:
    assert redact(text, ["hunter2hunter2", "a", ""]) == left
    assert redact(left) == left


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ({"password": "abc def"}, {"password": "[removed]"}),
        ({"uri": "/predict?api_key=s3cr3t"}, {"uri": "/predict?api_key=[removed]"}),
        (
            {"uri": "/predict?access_token=x&top_k=2", "status": 200},
            {"uri": "/predict?access_token=[removed]&top_k=2", "status": 200},
        ),
        ({"message": 'password="a b", again'}, {"message": 'password="[removed]", again'}),
        ({"body": '{"token": "a b", "n": 1}'}, {"body": '{"token": "[removed]", "n": 1}'}),
        ({"message": "PASSWORD=abc"}, {"message": "PASSWORD=[removed]"}),
        ({"message": 'PASSWORD=a"bc d'}, {"message": "PASSWORD=[removed] d"}),
        ({"token": 12, "secrets": ["a", "b"], "n": 1}, {"token": "[removed]", "secrets": "[removed]", "n": 1}),
        ({"token": None, "credentials": {"a": "b"}}, {"token": None, "credentials": "[removed]"}),
        ({"Authorization": 'Digest a="b", c="d"', "n": 1}, {"Authorization": "[removed]", "n": 1}),
        ({"key": "-----BEGIN PRIVATE KEY-----\nMHc\n-----END PRIVATE KEY-----\n"}, {"key": "[removed]\n"}),
    ],
)
def test_lines_of_json_stay_such(line: dict[str, Any], left: dict[str, Any]) -> None:
    for indent in (None, 1):
        assert json.loads(redact(json.dumps(line, indent=indent))) == left


def test_a_long_text_without_secrets_takes_no_time_and_stays() -> None:
    text = "-" * 200_000 + "a" * 200_000 + '"' * 1000 + "token" * 20_000
    assert redact(text) == text
