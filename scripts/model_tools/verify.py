"""`python -m scripts.model_tools.verify FOLDER`: one JSON line a check, as each is done; 1 when one fails.

The checks are those of a starting worker, in its order. The first that fails is the last, for the others need it.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.model_tools.answers import asker, check_count, open_engine, outputs
from worker.models.fields import ModelError
from worker.models.folder import read_folder, verify_files
from worker.models.golden import check_golden

CHECKS = ("model.toml", "files", "loading", "labels", "golden")


def verify(path: Path) -> Iterator[str]:
    """What each of CHECKS found, in their order; raises ModelError from the one that fails."""
    folder = read_folder(path)
    yield f"{folder.name} version {folder.version}, loader {folder.loader}"
    verify_files(folder)
    yield f"{len(folder.files)} files, each with its sha256"
    engine = open_engine(folder)
    yield f"engine {engine.name} in {engine.precision}"
    check_count(folder.output.labels, outputs(folder, engine))
    yield f"{folder.output.labels.count} in {', '.join(folder.output.labels.names)}, as many as the network has outputs"
    check_golden(folder, asker(folder, engine))
    yield f"{len(folder.golden)} answered as recorded"


def main(path: Path) -> int:
    steps = verify(path)
    for name in CHECKS:
        try:
            found, ok = next(steps), True
        except ModelError as error:
            found, ok = str(error), False
        except Exception as error:  # a library's own complaint is a finding too
            found, ok = f"{type(error).__name__}: {error}", False
        print(json.dumps({"check": name, "ok": ok, "found": found}), flush=True)
        if not ok:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
