"""`python -m scripts.models.tools.photos`: fill an empty folder with the embedded model."""

import argparse
import sys
from pathlib import Path

from scripts.base.console import say, step, warn
from scripts.models.tools.photos.differences import differences
from scripts.models.tools.photos.folder import make
from scripts.models.tools.photos.sources import find
from worker.contract.fields import ModelError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True, help="the folder that holds the pinned wheels")
    parser.add_argument("--lock", type=Path, required=True, help="the file that pins them")
    parser.add_argument("--out", type=Path, required=True, help="an empty folder to fill")
    parser.add_argument("--before", type=Path, required=True, help="the folder to compare with")
    options = parser.parse_args(arguments)
    try:
        make(find(options.wheels, options.lock.read_text(encoding="utf-8")), options.out)
    except ModelError as error:
        for line in str(error).splitlines():
            warn(line)
        return 1
    step(f"compared with {options.before}")
    for line in list(differences(options.before, options.out)) or ["nothing differs"]:
        say(f"   {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
