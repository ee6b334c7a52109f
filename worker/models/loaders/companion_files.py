"""Find the files that hold a network's weights without the library that reads them."""

import mmap
import re
from pathlib import Path

from worker.contract.lfs import refuse_pointer
from worker.contract.toml_reader import ModelError

LOCATION = re.compile(rb"\n\x08location\x12(.)", re.DOTALL)  # ONNX: precedes the length and the name of a weights file


def companion_files(network: Path) -> list[Path]:
    """Return the files that hold the weights of `network`, an .xml of OpenVINO or an .onnx.

    Raise ModelError if `network` or one of them is missing, or is a Git LFS pointer.
    """
    refuse_pointer(network)
    weights = (
        [network.with_suffix(".bin")]
        if network.suffix == ".xml"
        else [network.parent / name for name in _external(network)]
    )
    for file in weights:
        if file.parent.resolve() != network.parent.resolve():
            raise ModelError(f"{network}: has weights in {file}; needed them in the same folder")
        if not file.is_file():
            raise ModelError(f"{file}: not found; {network.name} needs it for its weights, copy it to the same folder")
        refuse_pointer(file)
    return weights


def _external(network: Path) -> list[str]:
    """Return the names of the external weights files of the ONNX file `network`."""
    if not network.stat().st_size:
        return []
    with network.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return sorted({data[match.end() : match.end() + match[1][0]].decode() for match in LOCATION.finditer(data)})
