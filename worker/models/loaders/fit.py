"""Compare the keys of a state dict with a network's, and rename those that training code wrapped.

Lightning puts "model." before every key, DataParallel "module.", OpenMMLab "backbone."; a fine-tuned network often has
another layer, or a Sequential with dropout, in place of its last one.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch

from worker.contract.toml_reader import ModelError, abbreviate

State = Mapping[str, torch.Tensor]

COUNTER = ".num_batches_tracked"  # of batch normalisation: torch before 0.4.1 did not save it, and inference ignores it
# Keys beside a network's own: weights of losses and metrics, and what profilers and averaging add.
SURPLUS = re.compile(
    r"(^|[._])(loss(es)?|loss_fn|criterion|criteria|metrics?|acc|accuracy|auroc|f1|confmat|confusion_matrix|precision|"
    r"recall|class_weights?|pos_weight|n_averaged|num_updates|initted|total_ops|total_params)([._]|$)",
    re.IGNORECASE,
)
AVERAGED = re.compile(r"(^|[_.])(ema|averaged?)", re.IGNORECASE)
LAST_INDEX = 1  # of a layer in a Sequential: only one layer, dropout in practice, may precede it
MATRIX = 2  # dimensions of a linear layer's weights


def aligned(expected: State, state: State, path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return `state` with the keys of `expected` where it is sure what was renamed, and a note on each renaming.

    Nothing is renamed unless more keys fit then. Shapes are not compared. Raise ModelError, naming `path`, if the
    weights of two such networks are in it.
    """
    renamed, notes = _without_prefix(expected, dict(state), path)
    renamed, head_notes = _with_head(expected, renamed)
    if not _unknown(expected, renamed) and (surplus := [key for key in renamed if key not in expected]):
        notes.append(f"left out {abbreviate(surplus, 3)}: no weights of the network")
        renamed = {key: value for key, value in renamed.items() if key in expected}
    return renamed, notes + head_notes


def differences(expected: State, state: State, default_classes: int = 0) -> str:
    """Return what differs between the keys and shapes of a network's `expected` state dict and of `state`, "" if none.

    Layers of `default_classes` outputs in the network may have another number of them in the state.
    """
    shapes = [
        f"{key} {list(state[key].shape)} instead of {list(value.shape)}"
        for key, value in expected.items()
        if key in state and not _same_shape(value.shape, state[key].shape, default_classes)
    ]
    missing = [key for key in expected if key not in state]
    faults = {
        "missing": [] if all(key.endswith(COUNTER) for key in missing) else missing,
        "unexpected": [key for key in state if key not in expected],
        "of another shape": shapes,
    }
    return "; ".join(f"{fault}: {abbreviate(keys)}" for fault, keys in faults.items() if keys)


def with_counters(expected: State, state: State) -> dict[str, torch.Tensor]:
    """Return `state` with the counters of batch normalisation that it lacks, from `expected`."""
    return {**{key: value for key, value in expected.items() if key.endswith(COUNTER)}, **state}


def other_head(expected: State, state: State) -> tuple[list[str], list[str]]:
    """Return the keys that only `expected` has, and those that only `state` has, if few: another last layer."""
    missing = [key for key in expected if key not in state and not key.endswith(COUNTER)]
    unexpected = _unknown(expected, state)
    few = len(missing) + len(unexpected) <= max(4, len(expected) // 4) and bool(missing)
    return (missing, unexpected) if few else ([], [])


def _same_shape(expected: torch.Size, found: torch.Size, default_classes: int) -> bool:
    if expected == found:
        return True
    return bool(expected and found) and expected[0] == default_classes and expected[1:] == found[1:]


def _unknown(expected: State, state: State) -> list[str]:
    """Return the keys of `state` that are neither the network's nor known to belong to something else."""
    return [key for key in state if key not in expected and not SURPLUS.search(key)]


def _without_prefix(
    expected: State, state: dict[str, torch.Tensor], path: Path
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return `state` without the prefix that makes most keys fit; keys of another network than that are left out."""
    prefixes = Counter(
        key.removesuffix(name) for key in state for name in _suffixes(key) if name in expected and key != name
    )
    fitting = sum(key in expected for key in state)
    if max(prefixes.values(), default=0) <= max(fitting, len(expected) // 2):
        return state, []
    most = [prefix for prefix, count in prefixes.items() if count == max(prefixes.values())]
    best = [prefix for prefix in most if AVERAGED.search(prefix)] or most
    if len(best) > 1:
        raise ModelError(
            f"{path}: found the same network under {' and '.join(map(repr, best))}, needed it once: "
            "save only the keys of one of them"
        )
    prefix, rivals = best[0], [each for each in most if each != best[0]]
    kept = {key.removeprefix(prefix): value for key, value in state.items() if not key.startswith(tuple(rivals))}
    notes = [f"took {prefix!r} away from the start of the keys"]
    return kept, notes + [f"left out the keys that start with {', '.join(rivals)}"] * bool(rivals)


def _suffixes(key: str) -> list[str]:
    parts = key.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _with_head(expected: State, state: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Return `state` with the last layer's own name if one linear layer is in its place, alone or after dropout."""
    missing, unexpected = other_head(expected, state)
    theirs, ours = {key.rpartition(".")[0] for key in unexpected}, {key.rpartition(".")[0] for key in missing}
    kinds = {key.rpartition(".")[2] for key in missing}
    if len(theirs) != 1 or len(ours) != 1 or kinds != {key.rpartition(".")[2] for key in unexpected}:
        return state, []
    old, new = theirs.pop(), ours.pop()
    weights, own = state.get(f"{old}.weight"), expected.get(f"{new}.weight")
    if weights is None or own is None or not kinds <= {"weight", "bias"}:
        return state, []
    if weights.ndim != MATRIX or own.ndim != MATRIX or weights.shape[1] != own.shape[1] or not _is_last(old):
        return state, []
    renamed = {f"{new}.{key.rpartition('.')[2]}" if key in unexpected else key: value for key, value in state.items()}
    dropout = ", assuming dropout before it" if old.endswith(f".{LAST_INDEX}") else ""
    return renamed, [f"took the linear layer {old} for {new}{dropout}"]


def _is_last(layer: str) -> bool:
    """Return whether at most one layer precedes `layer` in its Sequential, if it is in one."""
    index = layer.rpartition(".")[2]
    return not index.isdecimal() or int(index) <= LAST_INDEX
