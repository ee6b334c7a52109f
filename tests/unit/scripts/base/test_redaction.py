"""What no text that leaves the machine has."""

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
        ("mine is hunter2hunter2", "mine is [removed]"),
        ('{"request_id": "one", "uri": "/predict?x=1@2"}', '{"request_id": "one", "uri": "/predict?x=1@2"}'),
    ],
)
def test_secrets_are_removed_and_nothing_else(text: str, left: str) -> None:
    assert redact(text, ["hunter2hunter2", "a", ""]) == left
