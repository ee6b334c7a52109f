"""Read weights safely, without running code from the file, and load them strictly."""

import argparse
import pickletools
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from worker.contract.fields import ModelError, abbreviate
from worker.models.loaders.compat import NUMPY_RECONSTRUCT, NUMPY_SCALAR, weights_only_globals
from worker.models.loaders.lfs import refuse_pointer

WRAPPERS = ("state_dict_ema", "state_dict", "model")  # averaged weights (EMA) are more accurate than the last ones
PREFIXES = ("module.", "_orig_mod.")  # added by DataParallel and torch.compile

# Plain values that training scripts save along with the weights; reading them has no side effects.
SAFE_GLOBALS = [
    argparse.Namespace, np.dtype, np.ndarray,
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"),
    *((value, f"numpy.{core}.multiarray.{name}")
      for core in ("core", "_core") for value, name in ((NUMPY_SCALAR, "scalar"), (NUMPY_RECONSTRUCT, "_reconstruct"))),
]  # fmt: skip


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict in `path`, without wrappers and prefixes. Raise ModelError if there is none."""
    return unwrap(read_checkpoint(path), path)


def read_checkpoint(path: Path) -> Any:
    """Return the content of `path`, safetensors or a file of torch.save. Raise ModelError if it holds code."""
    check_weights(path)
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        raise _damage_error(path, error) from error


def check_weights(path: Path) -> None:
    """Raise ModelError if `path` is missing, a Git LFS pointer, damaged, or a pickle with code."""
    refuse_pointer(path)
    try:
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, "pt"):
                return
        if unsafe := unsafe_globals(path):
            raise ModelError(
                f"{path}: contains code and was not loaded: {abbreviate(unsafe)}; "
                "save only its weights with torch.save(network.state_dict(), FILE)"
            )
    except ModelError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise _damage_error(path, error) from error


def unsafe_globals(path: Path) -> list[str]:
    """Return the functions and classes outside the allowed ones that reading `path` would call, without calling any."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                return ["TorchScript"]
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    allowed = weights_only_globals() | _dotted_names(SAFE_GLOBALS)
    return sorted(_plain_pickle_globals(path) - allowed)


def unwrap(checkpoint: object, path: Path) -> dict[str, torch.Tensor]:
    """Return the state dict inside a training script's checkpoint. Raise ModelError if there is none."""
    while isinstance(checkpoint, Mapping) and (
        wrapper := next((key for key in WRAPPERS if isinstance(checkpoint.get(key), Mapping)), None)
    ):
        checkpoint = checkpoint[wrapper]
    if not isinstance(checkpoint, Mapping):
        raise ModelError(f"{path}: found a {type(checkpoint).__name__}, needed a state dict")
    if foreign := [str(key) for key, value in checkpoint.items() if not isinstance(value, torch.Tensor)]:
        raise ModelError(f"{path}: needed a state dict of tensors only, found also {abbreviate(foreign)}")
    state = dict(checkpoint)
    while state and (prefix := next((each for each in PREFIXES if all(key.startswith(each) for key in state)), None)):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def load_weights(network: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path, architecture: str) -> None:
    """Load `state` into `network`. Raise ModelError unless the keys and shapes of both match exactly."""
    expected = network.state_dict()
    shapes = [
        f"{key} {list(state[key].shape)} instead of {list(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    faults = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": shapes,
    }
    if any(faults.values()):
        differences = "; ".join(f"{fault}: {abbreviate(keys)}" for fault, keys in faults.items() if keys)
        raise ModelError(f"{path}: does not fit {architecture}: {differences}")
    network.load_state_dict(state)


def _damage_error(path: Path, error: Exception) -> ModelError:
    lines = [line for line in str(error).splitlines() if line]
    reason = lines[0].partition(". ")[0] if lines else type(error).__name__
    return ModelError(f"{path}: cannot be read: {reason}; it is damaged or cut short, copy the file again")


def _dotted_names(allowed: Iterable[Any]) -> set[str]:
    return {each[1] if isinstance(each, tuple) else f"{each.__module__}.{each.__name__}" for each in allowed}


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
