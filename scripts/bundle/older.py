"""A bundle that extends an older one: it leaves out every file that the older one has with the same bytes."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.base.errors import CommandError
from scripts.bundle import layout

SHARED = tuple(f"{part}/" for part in (layout.IMAGES, layout.MODELS, layout.PACKAGES, layout.WHEELS))


def read_base(base: Path, bundle: Path) -> dict[str, str]:
    """Return the checksums of the older bundle `base`; raise CommandError if it is none, or `bundle` itself."""
    if base.resolve() == bundle.resolve():
        raise CommandError(f"BASE and OUT: found {base} twice, needed another directory for what changed: set OUT=")
    return layout.read_sums(base)


def reuse(base: Path, sums: Mapping[str, str], bundle: Path) -> None:
    """Give `bundle` what the older one has, for the steps to keep or replace: links where that is possible."""
    for name in sums:
        if name.startswith(SHARED) and not (bundle / name).exists() and (base / name).is_file():
            (bundle / name).parent.mkdir(parents=True, exist_ok=True)
            _link(base / name, bundle / name)


def leave_out(bundle: Path, sums: Mapping[str, str], older: Mapping[str, str]) -> list[str]:
    """Remove the files of `bundle` that the older one has, too, and return the names of those that stay."""
    same = [name for name, value in sums.items() if older.get(name) == value]
    for name in same:
        (bundle / name).unlink()
    for folder in sorted((path for path in bundle.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return [name for name in sums if name not in set(same)]


@contextmanager
def combined(bundle: Path, base: Path | None) -> Iterator[Path]:
    """Yield `bundle`, or a folder of links to its files and to those of `base` that it lists and lacks."""
    if base is None:
        yield bundle
        return
    with TemporaryDirectory(prefix="wanwu-bundle-") as name:
        whole = Path(name)
        lacking = [name for name in layout.read_sums(bundle) if not (bundle / name).exists()]
        own = [*layout.files(bundle), *(name for name in layout.UNLISTED if (bundle / name).is_file())]
        for source, names in ((bundle, own), (base, [name for name in lacking if (base / name).is_file()])):
            for each in names:
                (whole / each).parent.mkdir(parents=True, exist_ok=True)
                (whole / each).symlink_to((source / each).absolute())
        yield whole


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # another file system
        shutil.copyfile(source, target)
