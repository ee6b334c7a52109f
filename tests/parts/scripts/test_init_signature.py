"""Stage 0 of init-server.sh accepts and refuses the same signers as `make bundle-verify`."""

import json
import subprocess
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bundle import layout, signing
from tests.bundles import make_key, make_signed_bundle
from tests.parts.scripts.test_init_server import SCRIPT

# All of the script but its last line, which runs it.
CHECK = f'. <(sed "\\$d" {SCRIPT}); CONFIRMED=$1; BUNDLE=$2; SIGNERS=$3; WORK=$4; check_signature'


def refusal(bundle: Path, signers: str, kept: Path = Path("/nonexistent"), path: str = "") -> str:
    """Return why the script refuses the bundle; "" if it accepts it."""
    environ = {"PATH": path} if path else None
    words = ["/bin/bash", "-c", CHECK, "-", *map(str, (kept, bundle, signers, bundle.parent))]
    done = subprocess.run(words, capture_output=True, text=True, env=environ)
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr.removeprefix("!! ").rstrip("\n")


def is_accepted_here(bundle: Path, signers: str) -> bool:
    try:
        return bool(signing.check(bundle, signers))
    except CommandError:
        return False


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    monkeypatch.setenv("HOME", str(tmp_path))  # with no key of its own
    return make_signed_bundle(tmp_path)


def test_both_accept_a_fingerprint_a_list_of_them_and_allowed_signers(signed: tuple[Path, str], tmp_path: Path) -> None:
    bundle, fingerprint = signed
    other, key = make_key(tmp_path / "other"), (tmp_path / "key.pub").read_text()
    files = {
        "listed": (f"SHA256:{'A' * 43}\n{fingerprint}\n", True),
        "allowed": (f'# ours\nbuilder@site namespaces="wanwu-bundle" {key}', True),
        "two words": (f'"a b" {other.with_suffix(".pub").read_text()}"c *d" {key}', True),
        "stranger": (f"builder@site {other.with_suffix('.pub').read_text()}", False),
        "elsewhere": (f'builder@site namespaces="file" {key}', False),
        "empty": ("", False),
        "part": (fingerprint[:-1], False),
    }
    cases = {fingerprint: True, f"SHA256:{'A' * 43}": False, str(tmp_path / "nowhere"): False, "": False}
    for name, (text, good) in files.items():
        (tmp_path / name).write_text(text)
        cases[str(tmp_path / name)] = good
    for signers, good in cases.items():
        assert (refusal(bundle, signers) == "", is_accepted_here(bundle, signers)) == (good, good), signers


def test_a_signer_that_was_confirmed_before_needs_no_word(signed: tuple[Path, str], tmp_path: Path) -> None:
    bundle, fingerprint = signed
    compare = "compare it with what `make bundle` printed there"
    remedy = f"{compare}, and add --signers {fingerprint}, or a file of allowed signers"
    needed = "your word that this is its maker"
    assert refusal(bundle, "") == f"found a bundle signed by {fingerprint}, needed {needed}: {remedy}"
    (tmp_path / "signers").write_text(f"{fingerprint}\n")
    assert refusal(bundle, "", tmp_path / "signers") == ""


def test_what_does_not_sign_the_checksums_is_refused(signed: tuple[Path, str], tmp_path: Path) -> None:
    bundle, fingerprint = signed
    good = (bundle / layout.SUMS).read_bytes()
    (bundle / layout.SUMS).write_bytes(bytes([good[0] ^ 1]) + good[1:])
    assert refusal(bundle, fingerprint) == (
        "found a SHA256SUMS.sig that does not sign SHA256SUMS (Signature verification failed: incorrect signature), "
        "needed the bundle as it was made: copy it again"
    )
    (bundle / layout.SIGNATURE).unlink()
    assert refusal(bundle, fingerprint) == (
        f"found no SHA256SUMS.sig in {bundle}, needed a signed bundle: create it again with `make bundle`"
    )


def test_a_bundle_that_extends_an_older_one_says_so_where_that_is_missing(signed: tuple[Path, str]) -> None:
    bundle, check = signed[0], CHECK.replace("check_signature", "SYSTEM=debian-12; check_sums")
    (bundle / layout.KIT).unlink()

    def refused() -> str:
        words = ["/bin/bash", "-c", check, "-", "", str(bundle), "", str(bundle.parent)]
        return subprocess.run(words, capture_output=True, text=True).stderr

    assert refused().startswith("!! found a damaged bundle (")
    manifest = json.loads((bundle / layout.MANIFEST).read_text())
    (bundle / layout.MANIFEST).write_text(json.dumps(manifest | {"extends": {"created": "2026"}}))
    assert refused().startswith("!! found a bundle that extends an older one, without that (")


def test_a_server_without_ssh_keygen_is_told_what_to_install(signed: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sed").symlink_to("/bin/sed")
    assert refusal(signed[0], signed[1], path=str(tmp_path / "bin")) == (
        "found no ssh-keygen, needed it for the bundle's signature: install openssh-client from the system's own medium"
    )
