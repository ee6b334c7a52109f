"""What lies where in a bundle, and the sums that tell whether all of it is as it was made."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.base.errors import CommandError

MANIFEST, SUMS, SBOM, KIT, INIT = "MANIFEST.json", "SHA256SUMS", "sbom.json", "kit.tar.gz", "init-server.sh"
IMAGES, MODELS, PACKAGES = "images", "models", "packages"
WORK = ".work"  # what a run that was interrupted leaves for the next; no finished bundle has it
AGAIN = "carry it over again"
UNFINISHED = "finish it with `make bundle` where it was made, or carry it over whole"
PARTS = {MANIFEST, SUMS, SBOM, KIT, INIT, IMAGES, MODELS, PACKAGES, WORK}


def files(bundle: Path) -> Iterator[str]:
    """Every file but SHA256SUMS and unfinished ones, sorted, as a path inside the bundle."""
    found = sorted(path for path in bundle.rglob("*") if path.is_file() or path.is_symlink())
    names = (path.relative_to(bundle).as_posix() for path in found)
    return (name for name in names if name != SUMS and not name.startswith(f"{WORK}/"))


def read_sums(bundle: Path) -> dict[str, str]:
    """Return the sha256 of every file of the bundle by its path; raise CommandError for what SHA256SUMS never says."""
    path = bundle / SUMS
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CommandError(f"{path}: found nothing, needed the sums of a finished bundle: {UNFINISHED}") from None
    except (OSError, UnicodeError) as error:
        raise CommandError(f"{path}: {error}: needed a file that can be read: {AGAIN}") from error
    sums = {}
    for line in text.splitlines():
        value, gap, name = line[:64], line[64:66], line[66:]
        if gap != "  " or not name or set(value) - set("0123456789abcdef"):
            raise CommandError(f"{path}: found {line!r}, needed a sha256 and a path in every line: {AGAIN}")
        sums[name] = value
    return sums


def format_sums(sums: Mapping[str, str]) -> str:
    return "".join(f"{value}  {name}\n" for name, value in sums.items())
