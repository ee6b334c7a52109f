"""Find the files that hold a network's weights without the library that reads them."""

import mmap
import re
from pathlib import Path

from worker.contract.fields import ModelError
from worker.models.loaders.lfs import refuse_pointer

LOCATION = re.compile(rb"\n\x08location\x12(.)", re.DOTALL)  # ONNX: precedes the length and the name of a weights file


def companion_files(main: Path) -> list[Path]:
    """Return the files that hold the weights of `main`, an .xml of OpenVINO or an .onnx.

    Raise ModelError if `main` or one of them is missing, or is a Git LFS pointer.
    """
    refuse_pointer(main)
    weights = [main.with_suffix(".bin")] if main.suffix == ".xml" else [main.parent / name for name in _external(main)]
    for file in weights:
        if file.parent.resolve() != main.parent.resolve():
            raise ModelError(f"{main}: has weights in {file}; needed them in the same folder")
        if not file.is_file():
            raise ModelError(f"{file}: not found; {main.name} needs it for its weights, copy it to the same folder")
        refuse_pointer(file)
    return weights


def _external(main: Path) -> list[str]:
    """Return the names of the external weights files of the ONNX file `main`."""
    if not main.stat().st_size:
        return []
    with main.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return sorted({data[one.end() : one.end() + one[1][0]].decode() for one in LOCATION.finditer(data)})
