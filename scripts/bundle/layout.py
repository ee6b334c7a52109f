"""The files of a bundle, SHA256SUMS, which verifies them, and the signature of SHA256SUMS."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.base.errors import CommandError
from worker.contract.litter import is_litter

MANIFEST, SUMS, SBOM, KIT, INIT = "MANIFEST.json", "SHA256SUMS", "sbom.json", "kit.tar.gz", "init-server.sh"
IMAGES, MODELS, PACKAGES, WHEELS = "images", "models", "packages", "wheels"
SIGNATURE = f"{SUMS}.sig"
WORK = ".work"  # unfinished files, which an interrupted run leaves for the next; absent from a finished bundle
COPY_AGAIN = "copy the bundle again"
UNFINISHED = "finish it with `make bundle` on the machine that created it, or copy all of it"
PARTS = {MANIFEST, SUMS, SIGNATURE, SBOM, KIT, INIT, IMAGES, MODELS, PACKAGES, WHEELS, WORK}
UNLISTED = (SUMS, SIGNATURE)


def files(bundle: Path) -> Iterator[str]:
    """Return the sorted relative path of every file but UNLISTED, unfinished ones and what file managers leave."""
    paths = sorted(path for path in bundle.rglob("*") if path.is_file() or path.is_symlink())
    names = (path.relative_to(bundle).as_posix() for path in paths)
    return (name for name in names if name not in UNLISTED and not name.startswith(f"{WORK}/") and not is_litter(name))


def read_sums(bundle: Path) -> dict[str, str]:
    """Return the sha256 of each file of the bundle; raise CommandError if SHA256SUMS is missing or malformed."""
    path = bundle / SUMS
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CommandError(f"{path}: found nothing, needed the checksums of a finished bundle: {UNFINISHED}") from None
    except (OSError, UnicodeError) as error:
        raise CommandError(f"{path}: {error}: needed a file that can be read: {COPY_AGAIN}") from error
    sums = {}
    for line in text.splitlines():
        value, gap, name = line[:64], line[64:66], line[66:]
        if gap != "  " or not name or set(value) - set("0123456789abcdef"):
            raise CommandError(f"{path}: found {line!r}, needed a sha256 and a path in every line: {COPY_AGAIN}")
        sums[name] = value
    return sums


def format_sums(sums: Mapping[str, str]) -> str:
    return "".join(f"{value}  {name}\n" for name, value in sums.items())
