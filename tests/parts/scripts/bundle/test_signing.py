"""Who made a bundle, as ssh-keygen signs and checks it: whatever is not a confirmed signer's is refused in one line."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bundle import layout, signing
from scripts.bundle.verify import verify
from tests.bundles import make_key, make_signed_bundle, write_sums


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of an account that has signed nothing yet."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def refusal(bundle: Path, signers: str = "") -> str:
    with pytest.raises(CommandError) as error:
        verify(bundle, signers)
    (line,) = error.value.lines
    return line.removeprefix(str(bundle)).lstrip("/:").strip()


def allowed(key: Path, file: Path, options: str = "") -> str:
    """Write a file of ssh's allowed signers, with the fingerprint in a comment."""
    file.write_text(f"# the site's\nbuilder@site {options} {key.with_suffix('.pub').read_text()}")
    return str(file)


def test_a_bundle_is_accepted_by_its_signers_fingerprint_or_a_file_that_lists_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, fingerprint = make_signed_bundle(tmp_path)
    for signers in (fingerprint, allowed(tmp_path / "key", tmp_path / "signers", 'namespaces="wanwu-bundle"')):
        verify(bundle, signers)
        assert capsys.readouterr().out.splitlines()[-1] == f"signed by {fingerprint}"


def test_an_accounts_own_key_is_made_once_and_counts_without_a_word(tmp_path: Path, home: Path) -> None:
    bundle, other = make_signed_bundle(tmp_path)
    key = signing.signing_key("")
    assert (key, signing.signing_key("")) == (home / signing.KEY, home / signing.KEY)
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert signing.sign(bundle, key) != other
    verify(bundle)


def test_a_changed_list_of_checksums_is_refused_whoever_is_trusted(tmp_path: Path) -> None:
    bundle, fingerprint = make_signed_bundle(tmp_path)
    (bundle / layout.KIT).write_text("evil")
    write_sums(bundle)
    assert refusal(bundle, fingerprint) == (
        "SHA256SUMS.sig: does not sign SHA256SUMS (Signature verification failed: incorrect signature): "
        "make the bundle again with `make bundle`, or copy all of it"
    )


def test_a_flipped_byte_of_a_file_or_of_the_signature_is_refused(tmp_path: Path) -> None:
    bundle, fingerprint = make_signed_bundle(tmp_path)
    for name, said in ((layout.KIT, "kit.tar.gz: found sha256 "), (layout.SIGNATURE, "SHA256SUMS.sig: does not sign")):
        good = (bundle / name).read_bytes()
        (bundle / name).write_bytes(
            good[:60] + bytes([good[60] ^ 1]) + good[61:] if len(good) > 60 else b"K" + good[1:]
        )
        assert refusal(bundle, fingerprint).startswith(said)
        (bundle / name).write_bytes(good)


def test_an_unknown_signer_is_named_with_the_remedy(tmp_path: Path) -> None:
    bundle, fingerprint = make_signed_bundle(tmp_path)
    make_key(tmp_path / "other")
    remedy = (
        f"compare it with what `make bundle` printed there, and set SIGNERS={fingerprint}, or a file of allowed signers"
    )
    other = f"SHA256:{'A' * 43}"
    listed = allowed(tmp_path / "other", tmp_path / "signers")
    elsewhere = allowed(tmp_path / "key", tmp_path / "elsewhere", 'namespaces="file"')
    for signers, needed in (
        ("", "your word that this is its maker"),
        *((one, one) for one in (other, listed, elsewhere)),
    ):
        assert refusal(bundle, signers) == f"found a bundle signed by {fingerprint}, needed {needed}: {remedy}"
    assert refusal(bundle, "nowhere") == (
        "SIGNERS: found 'nowhere', needed a fingerprint, SHA256:..., or a file that exists"
    )


def test_an_unsigned_bundle_as_earlier_versions_made_them_is_refused(tmp_path: Path) -> None:
    bundle, fingerprint = make_signed_bundle(tmp_path)
    (bundle / layout.SIGNATURE).unlink()
    assert refusal(bundle, fingerprint) == (
        "found no SHA256SUMS.sig, needed a signed bundle: make the bundle again with `make bundle`, or copy all of it"
    )


def test_a_signature_made_for_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, fingerprint = make_signed_bundle(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(signing, "NAMESPACE", "file")
        assert signing.sign(bundle, tmp_path / "key") == fingerprint
    assert "does not sign SHA256SUMS (Couldn't verify signature: namespace does not match)" in refusal(
        bundle, fingerprint
    )


def test_a_key_that_cannot_sign_is_refused(tmp_path: Path) -> None:
    bundle, _ = make_signed_bundle(tmp_path)
    (tmp_path / "junk").write_text("junk")
    for chosen, said in (("nowhere", "SIGN_KEY: found no nowhere"), (str(tmp_path / "junk"), "cannot sign (")):
        with pytest.raises(CommandError, match="needed a private key that `ssh-keygen` made") as error:
            signing.sign(bundle, signing.signing_key(chosen))
        assert said in error.value.lines[0]
