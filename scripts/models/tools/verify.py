"""`python -m scripts.models.tools.verify FOLDER`: print one JSON line for each check, and exit with 1 if one fails.

The checks are those of a starting worker, in the same order. The first failure ends the run, since each later check
needs the earlier ones.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.models.tools.answers import check_label_count, count_outputs, golden_function, open_engine
from worker.contract.loaders import LOADERS
from worker.contract.toml_reader import ModelError
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.golden import check_golden
from worker.models.input import OVERRIDABLE, Input
from worker.models.loaders import Description, describe

CHECKS = ("model.toml", "files", "preprocessing", "loading", "labels", "golden")


def verify(path: Path) -> Iterator[str]:
    """Yield what each of CHECKS found, in their order. Raise ModelError from the one that fails."""
    folder = read_folder(path)
    yield f"{folder.name} version {folder.version}, loader {folder.loader}"
    verify_files(folder)
    yield f"{len(folder.files)} files, each with its sha256"
    yield _preprocessing(folder)
    engine = open_engine(folder)
    yield f"engine {engine.name} in {engine.precision}"
    check_label_count(folder.output.labels, count_outputs(folder, engine))
    yield _labels(folder)
    check_golden(folder, golden_function(folder, engine), engine.precision)
    yield f"{len(folder.golden)} answered as recorded"


def _preprocessing(folder: ModelFolder) -> str:
    """Compare [input] with the model's own configuration file. Raise ModelError if they differ."""
    source = LOADERS[folder.loader].described_by
    if source not in folder.files:
        return "as model.toml says; no other file in the folder describes it"
    try:
        description = describe(folder.path, folder.loader, folder.architecture)
    except ImportError:
        return f"as model.toml says; {folder.loader}, which reads {source}, is not in this environment"
    written = folder.input
    if len(written.mean) != len(description.mean):
        return f"as {source} says, fitted to {len(written.mean)} channels"
    kept = [key for key in OVERRIDABLE if key not in written.overrides]
    if _settings(written, kept) != _settings(description, kept):
        found, own = ((each.geometry, _rounded(each.mean), _rounded(each.std)) for each in (written, description))
        raise ModelError(f"{folder.path}/model.toml: [input] is {found}, {source} says {own}: correct one of the two")
    if written.overrides:
        return f"as {source} says, but for {', '.join(written.overrides)}, as model.toml says"
    return f"as {source} says"


def _settings(source: Input | Description, keys: Sequence[str]) -> dict[str, object]:
    """Return the settings of the preprocessing in `source`, those of `keys` alone, rounded for a comparison."""
    geometry = source.geometry
    settings: dict[str, object] = {
        "size": geometry.size, "resize": geometry.resize, "interpolation": geometry.interpolation,
        "mean": _rounded(source.mean), "std": _rounded(source.std),
    }  # fmt: skip
    return {key: settings[key] for key in keys} | {"rounding": geometry.rounding}


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 6) for value in values]


def _labels(folder: ModelFolder) -> str:
    labels, groups = folder.output.labels, folder.output.groups
    attributes = f", {labels.count - len(folder.output.main)} of them in {len(groups)} groups" if groups else ""
    return f"{labels.count} in {', '.join(labels.names)}, as many as the network has outputs{attributes}"


def main(folder: Path) -> int:
    steps = verify(folder)
    for name in CHECKS:
        try:
            found, ok = next(steps), True
        except ModelError as error:
            found, ok = str(error), False
        except Exception as error:  # an exception from a library is a finding too
            found, ok = f"{type(error).__name__}: {error}", False
        print(json.dumps({"check": name, "ok": ok, "found": found}), flush=True)
        if not ok:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
