"""How a model folder that was made again differs from the one before."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from worker.contract.files import sha256


def differences(before: Path, after: Path) -> Iterator[str]:
    """Yield a line for each file that is new, gone or changed, and for each golden image whose answer moved."""
    old, new = _digests(before), _digests(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"gone: {name}"
        elif name not in old:
            yield f"new: {name}"
        elif old[name] != new[name]:
            yield f"changed: {name}, {(before / name).stat().st_size} to {(after / name).stat().st_size} bytes"
    was, now = _golden(before), _golden(after)
    for image in sorted(was.keys() & now.keys()):
        if was[image] != now[image]:
            (label, score), (label_now, score_now) = was[image], now[image]
            yield f"{image}: {label} ({score:.4f}) to {label_now} ({score_now:.4f})"


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}


def _golden(folder: Path) -> dict[str, tuple[str, float]]:
    file = folder / "model.toml"
    rows = tomllib.loads(file.read_text(encoding="utf-8"))["golden"] if file.is_file() else []
    return {row["image"]: (row["label"], row["score"]) for row in rows}
