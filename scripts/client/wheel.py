"""Write the client's wheel with Python's standard library alone: the same bytes for the same source."""

import base64
import hashlib
import zipfile
from contextlib import suppress
from pathlib import Path

from scripts.base.console import say
from scripts.base.errors import CommandError
from worker.contract.version import VERSION

PACKAGE = Path(__file__).parent / "wanwu_client"
LICENCE = Path(__file__).parents[2] / "LICENSE"
OUT = Path("dist")
NAME = f"wanwu_client-{VERSION}"
INFO = f"{NAME}.dist-info"
MOMENT = (2026, 1, 1, 0, 0, 0)  # of every file, so that only the source decides the bytes
METADATA = f"""\
Metadata-Version: 2.4
Name: wanwu-client
Version: {VERSION}
Summary: Client for Wanwu, which serves image classifiers
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.11
Requires-Dist: requests>=2.28
Description-Content-Type: text/markdown

"""
WHEEL = """\
Wheel-Version: 1.0
Generator: wanwu
Root-Is-Purelib: true
Tag: py3-none-any
"""


def build(out: Path) -> Path:
    """Write the wheel into the folder `out` and return its path; raise CommandError if it cannot be written."""
    path = out / f"{NAME}-py3-none-any.whl"
    new = path.with_suffix(".new")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as wheel:
            for name, data in _with_record(_files()).items():
                wheel.writestr(_entry(name), data)
        new.replace(path)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise CommandError(f"{out}: found {error.strerror}, needed a folder to write into: correct OUT=") from error
    say(f"wrote {path}; install it with: pip install {path}")
    return path


def _files() -> dict[str, bytes]:
    """Return the contents of the wheel by path, without its list of them."""
    sources = sorted(path for path in PACKAGE.iterdir() if path.suffix == ".py" or path.name == "py.typed")
    readme = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    return {
        **{f"{PACKAGE.name}/{path.name}": path.read_bytes() for path in sources},
        f"{INFO}/METADATA": (METADATA + readme).encode(),
        f"{INFO}/WHEEL": WHEEL.encode(),
        f"{INFO}/licenses/LICENSE": LICENCE.read_bytes(),
    }


def _with_record(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return `files` with RECORD, which lists the hash and size of each."""
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    record = f"{INFO}/RECORD"
    return files | {record: "\n".join([*lines, f"{record},,", ""]).encode()}


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, MOMENT)
    entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
    return entry
