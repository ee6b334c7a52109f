"""The files that a network file keeps its weights in, found without the library that reads them."""

import mmap
import re
from pathlib import Path

from worker.contract.fields import ModelError
from worker.models.loaders.lfs import refuse_pointer

LOCATION = re.compile(rb"\n\x08location\x12(.)", re.DOTALL)  # ONNX: names a file with weights, after its length


def companion_files(main: Path) -> list[Path]:
    """The files that hold the weights of `main`, an .xml of OpenVINO or an .onnx.

    Raises ModelError when one of them all is not there, or only a Git LFS pointer to it.
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
    """The names of the files that an ONNX file keeps weights in."""
    if not main.stat().st_size:
        return []
    with main.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return sorted({data[one.end() : one.end() + one[1][0]].decode() for one in LOCATION.finditer(data)})
