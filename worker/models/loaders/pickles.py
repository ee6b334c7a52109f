"""Read a file of torch.save without importing or running anything that it names.

Objects that training scripts save beside the weights, such as their configuration, become empty stand-ins.
"""

import argparse
import pickle
import pickletools
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worker.contract.toml_reader import ModelError, abbreviate
from worker.models.loaders.compat import NUMPY_RECONSTRUCT, NUMPY_SCALAR, weights_only_globals

# Plain values that training scripts save along with the weights; reading them has no side effects.
SAFE_GLOBALS: list[Any] = [
    argparse.Namespace, np.dtype, np.ndarray,
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"),
    *((value, f"numpy.{core}.multiarray.{name}")
      for core in ("core", "_core") for value, name in ((NUMPY_SCALAR, "scalar"), (NUMPY_RECONSTRUCT, "_reconstruct"))),
]  # fmt: skip
# Modules of the standard library whose objects are data. A file that names another one, such as os, is refused.
DATA_MODULES = {
    "__main__", "argparse", "collections", "datetime", "decimal", "enum", "fractions", "functools", "pathlib", "types",
    "typing", "uuid",
}  # fmt: skip
DATA_BUILTINS = {"dict", "float", "getattr", "int", "list", "object", "range", "slice", "str", "tuple", "type"}
# Dictionaries of other types, which their users read as plain ones.
DICTIONARIES = ("AttributeDict", "CfgNode", "ConfigDict", "EasyDict", "addict.Dict")
BYTES_OF_PICKLE = "torch.storage._load_from_bytes"  # what pickle, unlike torch.save, stores tensors with
MAX_PROTOCOL = 3  # that torch reads without running code
TORCHSCRIPT = "TorchScript"
SAVE_REMEDY = "save only its weights with torch.save(network.state_dict(), FILE)"


class StandIn:
    """An empty object in place of one whose class is not imported; its subclasses bear the names of those classes."""

    def __new__(cls, *_: object, **__: object) -> "StandIn":
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def load(path: Path) -> Any:
    """Return the content of `path`, a file of torch.save, on the CPU. Raise ModelError if it names code to run.

    A damaged file may raise anything.
    """
    found = _foreign_globals(path)
    stand_ins = {name: _stand_in(name) for name in found if _is_data(name)}
    if code := sorted(found - stand_ins.keys()):
        raise ModelError(_refusal(path, code))
    _refuse_protocol(path)
    allowed: list[Any] = [*SAFE_GLOBALS, *((value, name) for name, value in stand_ins.items())]
    with torch.serialization.safe_globals(allowed):
        content = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(content, StandIn):
        raise ModelError(_refusal(path, sorted(found)))
    return content


def refuse_foreign_globals(path: Path) -> None:
    """Raise ModelError if `path` names anything but plain data; a damaged file may raise anything."""
    if found := sorted(_foreign_globals(path)):
        raise ModelError(_refusal(path, found))


def export_remedy(path: Path, names: Iterable[str], key: str = "") -> str:
    """Return how to make a model that can be added from a network that was pickled with the classes `names`."""
    roots = {name.partition(".")[0] for name in names}
    if "ultralytics" in roots or any(name.startswith("models.yolo") for name in names):
        return f"`yolo export model={path.name} format=onnx` makes an .onnx that can be added"
    if "fastai" in roots:
        trusted = "where fastai is installed, and if you trust the file, "
        return trusted + _onnx_export(f"load_learner('{path.name}').model", "; from fastai.learner import load_learner")
    trusted = "where that code is installed, and if you trust the file, "
    return trusted + _onnx_export(f"torch.load('{path.name}', weights_only=False){key and f'[{key!r}]'}")


def _onnx_export(network: str, imports: str = "") -> str:
    """Return the sentence that says how to export `network`, an expression of Python."""
    return (
        f'python -c "import torch{imports}; torch.onnx.export({network}.eval().float(), '
        "torch.zeros(1, 3, 224, 224), 'model.onnx', dynamo=False, input_names=['x'], dynamic_axes={'x': {0: 'n'}})\", "
        "with the size of its input, makes an .onnx that can be added"
    )


def _refusal(path: Path, names: list[str]) -> str:
    if names == [TORCHSCRIPT]:
        export = _onnx_export(f"torch.jit.load('{path.name}', 'cpu')")
        return f"{path}: is a TorchScript program and was not loaded; if you trust it, {export}"
    if BYTES_OF_PICKLE in names:
        return f"{path}: was written by pickle, needed a file of torch.save; {SAVE_REMEDY}"
    roots = {name.partition(".")[0] for name in names}
    if roots & {"fastai", "ultralytics"} or any(name.startswith("torch.nn.modules.") for name in names):
        found = f"{path}: contains code and was not loaded: {abbreviate(names, 3)}"
        return f"{found}; it is a whole network with its classes: {export_remedy(path, names)}"
    return f"{path}: contains code and was not loaded: {abbreviate(names)}; {SAVE_REMEDY}"


def _foreign_globals(path: Path) -> set[str]:
    """Return the functions and classes outside the allowed ones that reading `path` would call, without calling any."""
    if not zipfile.is_zipfile(path):
        allowed = weights_only_globals() | {
            each[1] if isinstance(each, tuple) else f"{each.__module__}.{each.__name__}" for each in SAFE_GLOBALS
        }
        return _plain_pickle_globals(path) - allowed
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            return {TORCHSCRIPT}
    _refuse_protocol(path)
    with torch.serialization.safe_globals(SAFE_GLOBALS):
        return {*torch.serialization.get_unsafe_globals_in_checkpoint(str(path))}


def _refuse_protocol(path: Path) -> None:
    """Raise ModelError if `path` is written in a protocol of pickle that torch cannot read without running code."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            start = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))[:2]
    else:
        with path.open("rb") as file:
            start = file.read(2)
    if start[:1] == pickle.PROTO and start[1] > MAX_PROTOCOL:
        raise ModelError(
            f"{path}: was saved with pickle_protocol={start[1]}, needed the usual one; if you trust the file, "
            f"python -c \"import torch; torch.save(torch.load('{path.name}', weights_only=False), 'weights.pth')\""
        )


def _is_data(name: str) -> bool:
    """Return whether training scripts save objects of this class or function; the name of a program's file is not."""
    module, _, attribute = name.rpartition(".")
    root = name.partition(".")[0]
    if root in ("builtins", "__builtin__") or not module:
        return attribute in DATA_BUILTINS
    return (root not in sys.stdlib_module_names or root in DATA_MODULES) and name not in (
        "TorchScript",
        BYTES_OF_PICKLE,
    )


def _stand_in(name: str) -> Any:
    """Return what torch.load calls in place of the function or class `name`."""
    if name == "collections.defaultdict":
        return _empty_dictionary
    return OrderedDict if name.endswith(DICTIONARIES) else type(name, (StandIn,), {})


def _empty_dictionary(*_: object) -> OrderedDict[Any, Any]:
    return OrderedDict()


def _plain_pickle_globals(path: Path) -> set[str]:
    """Return the globals of the pickles at the start of the file: torch before 1.6 saved a sequence of them."""
    found, strings = set[str](), [""]
    with path.open("rb") as file:
        try:
            while file.peek(1):
                for opcode, argument, _ in pickletools.genops(file):
                    if opcode.name == "GLOBAL":
                        found.add(str(argument).replace(" ", "."))
                    elif opcode.name == "STACK_GLOBAL":
                        found.add(".".join(strings[-2:]))
                    elif isinstance(argument, str):
                        strings.append(argument)
        except ValueError:  # the tensors' bytes begin here, or the file is not a pickle
            return found
    return found
