"""The signers that a server remembers."""

from scripts.bootstrap.steps.signers import signers_text


def test_what_is_told_is_added_once() -> None:
    assert signers_text("", "SHA256:a") == "SHA256:a"
    assert signers_text("SHA256:a\n", "SHA256:a") == "SHA256:a"
    assert signers_text("SHA256:a\n# ours\n", "SHA256:b\nSHA256:a\n") == "SHA256:a\n# ours\nSHA256:b"
