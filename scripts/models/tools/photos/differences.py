"""Compare a rebuilt model folder with the previous one."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from worker.contract.files import sha256


def differences(before: Path, after: Path) -> Iterator[str]:
    """Yield a line for each file that is new, removed or changed, and each golden image whose answer changed."""
    old, new = _digests(before), _digests(after)
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield f"removed: {name}"
        elif name not in old:
            yield f"new: {name}"
        elif old[name] != new[name]:
            yield f"changed: {name}, {(before / name).stat().st_size} to {(after / name).stat().st_size} bytes"
    old_answers, new_answers = _golden_answers(before), _golden_answers(after)
    for image in sorted(old_answers.keys() & new_answers.keys()):
        if old_answers[image] != new_answers[image]:
            (old_label, old_score), (new_label, new_score) = old_answers[image], new_answers[image]
            yield f"{image}: {old_label} ({old_score:.4f}) to {new_label} ({new_score:.4f})"


def _digests(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}


def _golden_answers(folder: Path) -> dict[str, tuple[str, float]]:
    manifest = folder / "model.toml"
    rows = tomllib.loads(manifest.read_text(encoding="utf-8"))["golden"] if manifest.is_file() else []
    return {row["image"]: (row["label"], row["score"]) for row in rows}
