"""`python -m scripts.models.tools.prepare`: prepares a model folder where it stands."""

import argparse
import sys
from pathlib import Path

from scripts.base.console import warn
from scripts.models.tools.prepare.effort import QUICK, WHOLE
from scripts.models.tools.prepare.preparation import prepare
from worker.contract.fields import ModelError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the model folder")
    parser.add_argument("--shown", type=Path, help="the path that faults name instead of the folder's own")
    parser.add_argument("--calibration", type=Path, help="a folder of pictures")
    parser.add_argument("--quick", action="store_true", help="on fewer pictures, and timed for a shorter while")
    options = parser.parse_args(arguments)
    try:
        prepare(options.folder, options.calibration, QUICK if options.quick else WHOLE)
    except ModelError as error:
        for line in str(error).replace(str(options.folder), str(options.shown or options.folder)).splitlines():
            warn(line)
        return 1
    except OSError as error:
        warn(f"{error.filename or options.folder}: {error.strerror}: needed room, and leave to read and write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
