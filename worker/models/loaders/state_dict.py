"""Read weights safely, without running code from the file, and load them strictly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from worker.contract.lfs import refuse_pointer
from worker.contract.toml_reader import ModelError
from worker.models.loaders import content, fit, pickles
from worker.models.loaders.wrappers import State, find_state


def read_state_dict(path: Path) -> State:
    """Return the state dict in `path`, without what a checkpoint wraps it in. Raise ModelError if there is none."""
    return read_weights(path)[0]


def read_weights(path: Path) -> tuple[State, str]:
    """Return the state dict in `path`, and its name in a checkpoint, "" for a file of weights alone.

    Raise ModelError if there is none.
    """
    return find_state(read_checkpoint(path), path)


def read_for(network: torch.nn.Module, path: Path) -> tuple[State, tuple[str, ...]]:
    """Return the state dict in `path` with the keys of `network` where it is sure what was renamed, and notes on that.

    Raise ModelError if there is none.
    """
    state, name = read_weights(path)
    state, notes = fit.aligned(network.state_dict(), state, path)
    return state, (*([f"took the weights under {name}"] if name else ()), *notes)


def read_checkpoint(path: Path) -> Any:
    """Return the content of `path`, safetensors or a file of torch.save. Raise ModelError if it holds code."""
    refuse_pointer(path)
    try:
        if _is_safetensors(path):
            return safetensors.torch.load_file(path)
        return pickles.load(path)
    except ModelError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise _damage_error(path, error) from error


def check_weights(path: Path) -> None:
    """Raise ModelError if `path` is missing, a Git LFS pointer, damaged, or a pickle of more than plain data."""
    refuse_pointer(path)
    try:
        if _is_safetensors(path):
            with safetensors.safe_open(path, "pt"):
                return
        pickles.refuse_foreign_globals(path)
    except ModelError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise _damage_error(path, error) from error


def load_weights(network: torch.nn.Module, state: Mapping[str, torch.Tensor], path: Path, architecture: str) -> None:
    """Load `state` into `network`. Raise ModelError unless the keys and shapes of both match exactly."""
    expected = network.state_dict()
    if differences := fit.differences(expected, state):
        raise ModelError(f"{path}: does not fit {architecture}: {differences}")
    network.load_state_dict(fit.with_counters(expected, state))


def _is_safetensors(path: Path) -> bool:
    """Return whether `path` is read as safetensors, a damaged one included; other archives and pages are refused."""
    kind = content.kind_of(path)
    if kind in (content.ARCHIVE, content.TAR):
        raise ModelError(f"{path}: found a {kind}, needed weights; unpack it, and add the file inside")
    if kind == content.PAGE:
        raise ModelError(f"{path}: found a {kind}, needed weights; download the file itself")
    return kind == content.SAFETENSORS or (path.suffix == ".safetensors" and kind != content.TORCH)


def _damage_error(path: Path, error: Exception) -> ModelError:
    if path.suffix == ".bin" and (network := path.with_suffix(".xml")).is_file():
        return ModelError(
            f"{path}: holds the weights of an OpenVINO network, needed the network itself: name {network}"
        )
    lines = [line for line in str(error).splitlines() if line]
    reason = lines[0].partition(". ")[0] if lines else type(error).__name__
    return ModelError(f"{path}: cannot be read: {reason}; it is damaged or cut short, copy the file again")
