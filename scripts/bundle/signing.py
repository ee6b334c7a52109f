"""The signature of a bundle's checksums: who made the bundle, whatever medium carried it.

ssh-keygen signs and checks, with a key like those of SSH. A signer is told by a file of ssh's allowed signers, or by
the fingerprint of the key, which people can read out to each other. init-server.sh checks the same in bash.
"""

import re
import socket
import subprocess
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.base.programs import on_path, remedy
from scripts.bundle.layout import SIGNATURE, SUMS
from worker.contract.files import write_atomically

NAMESPACE = "wanwu-bundle"  # a signature made for something else does not count
KEY = ".config/wanwu/bundle-key"  # in the home directory, made at first use
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
SIGN_AGAIN = "make the bundle again with `make bundle`, or copy all of it"


def signing_key(chosen: str) -> Path:
    """Return the key that signs: the file `chosen`, or by default this account's own, which is made if there is none.

    Raise CommandError if there is no such file, or if ssh-keygen is missing.
    """
    if not on_path("ssh-keygen"):
        raise CommandError(f"found no ssh-keygen, needed it for the bundle's signature: {remedy(['openssh-client'])}")
    if chosen:
        if not Path(chosen).is_file():
            raise CommandError(f"SIGN_KEY: found no {chosen}, needed a private key that `ssh-keygen` made")
        return Path(chosen)
    own = Path.home() / KEY
    if not own.is_file():
        own.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        comment = f"{NAMESPACE} of {socket.gethostname()}"
        _ssh_keygen(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(own)])
        say(f"   made {own}, with which this account signs bundles; keep it as safe as a key of SSH")
    return own


def sign(bundle: Path, key: Path) -> str:
    """Sign the checksums of `bundle` and return the fingerprint of the signer; raise CommandError."""
    signed = _ssh_keygen(["-Y", "sign", "-n", NAMESPACE, "-f", str(key)], (bundle / SUMS).read_bytes())
    if signed.returncode:
        raise CommandError(f"{key}: cannot sign ({_reason(signed)}), needed a private key that `ssh-keygen` made")
    write_atomically(bundle / SIGNATURE, signed.stdout.decode())
    return signer(bundle)


def signer(bundle: Path) -> str:
    """Return the fingerprint of the key that signed the checksums of `bundle`; raise CommandError if none did."""
    if not on_path("ssh-keygen"):
        raise CommandError(f"found no ssh-keygen, needed it for the bundle's signature: {remedy(['openssh-client'])}")
    if not (bundle / SIGNATURE).is_file():
        raise CommandError(f"{bundle}: found no {SIGNATURE}, needed a signed bundle: {SIGN_AGAIN}")
    checked = _check(bundle, ["check-novalidate"])
    found = FINGERPRINT.search(checked.stdout.decode(errors="replace"))
    if checked.returncode or not found:
        raise CommandError(f"{bundle}/{SIGNATURE}: does not sign {SUMS} ({_reason(checked)}): {SIGN_AGAIN}")
    return found[0]


def check(bundle: Path, signers: str) -> str:
    """Return the fingerprint of the signer of `bundle` if it is one of `signers`; raise CommandError if it is not.

    `signers` is a fingerprint or a file; by default it is the key with which this account signs.
    """
    found = signer(bundle)
    own = (Path.home() / KEY).with_suffix(".pub")
    if not signers:
        signers = _fingerprint(own) if own.is_file() else ""
    if FINGERPRINT.fullmatch(signers):
        trusted = found == signers
    elif signers:
        trusted = _is_listed(found, bundle, Path(signers))
    else:
        trusted = False
    if not trusted:
        raise CommandError(
            f"{bundle}: found a bundle signed by {found}, needed {signers or 'your word that this is its maker'}: "
            f"compare it with what `make bundle` printed there, and set SIGNERS={found}, or a file of allowed signers"
        )
    return found


def _is_listed(found: str, bundle: Path, file: Path) -> bool:
    """Return whether the signer, with the fingerprint `found`, is in a file of fingerprints or of allowed signers."""
    if not file.is_file():
        raise CommandError(f"SIGNERS: found {str(file)!r}, needed a fingerprint, SHA256:..., or a file that exists")
    if found in file.read_text(errors="replace").splitlines():
        return True
    listed = _ssh_keygen(["-Y", "find-principals", "-f", str(file), "-s", str(bundle / SIGNATURE)])
    names = listed.stdout.decode().splitlines() if listed.returncode == 0 else []
    return any(_check(bundle, ["verify", "-f", str(file), "-I", name]).returncode == 0 for name in names)


def _check(bundle: Path, how: list[str]) -> subprocess.CompletedProcess[bytes]:
    arguments = ["-Y", *how, "-n", NAMESPACE, "-s", str(bundle / SIGNATURE)]
    return _ssh_keygen(arguments, (bundle / SUMS).read_bytes())


def _fingerprint(public_key: Path) -> str:
    found = FINGERPRINT.search(_ssh_keygen(["-l", "-f", str(public_key)]).stdout.decode(errors="replace"))
    return found[0] if found else ""


def _ssh_keygen(arguments: list[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *arguments], input=stdin, capture_output=True)


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[0].strip() if lines else "ssh-keygen printed nothing"
