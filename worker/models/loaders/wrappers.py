"""Find the weights in what training scripts save: a mapping of tensors, beside an optimizer's state and much else."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from worker.contract.toml_reader import ModelError, abbreviate
from worker.models.loaders.pickles import StandIn, export_remedy

State = dict[str, torch.Tensor]

PREFIXES = ("module.", "_orig_mod.")  # added by DataParallel and torch.compile, so no network's own
MAX_DEPTH = 4  # mappings inside mappings
# Parts of the names of entries whose tensors are no network's weights.
OTHER = re.compile(
    r"optim|sched|scaler|\bamp\b|grad|rng|random|criterion|loss|metric|callback|loops|hyper|hparam|config|args|"
    r"(^|_)(opt|best_acc|scores?|stats?|history|meta|results?|buffers?|discriminator|netd|net_d|iterator|sampler|logs?)$",
    re.IGNORECASE,
)
# The usual names of the weights; of several candidates the one that is named so is taken.
USUAL = re.compile(
    r"(model|net|network|module|params?|weights?|state_dict|model_state(_dict)?|net_state_dict|network_state_dict|"
    r"state|model_weights|classifier_state_dict|weights_dict|net_g|generator)",
    re.IGNORECASE,
)
AVERAGED = re.compile(r"(^|[_.])(ema|averaged?|swa|shadow)|ema$", re.IGNORECASE)  # more accurate than the last weights
EXTRA_STATE = "_extra_state"  # of modules, such as the scales of 8-bit training; no weights


@dataclass(frozen=True)
class Candidate:
    """A mapping of tensors inside a checkpoint, and the keys that lead to it."""

    keys: tuple[str, ...]
    state: State

    @property
    def name(self) -> str:
        return ".".join(self.keys)


def find_state(checkpoint: object, path: Path) -> tuple[State, str]:
    """Return the state dict inside `checkpoint`, the content of `path`, and its name there, "" for the whole.

    The keys are without the prefixes of DataParallel and torch.compile. Averaged weights (EMA) are preferred if they
    are as many. Raise ModelError if there is none, or if there are several of which none stands out.
    """
    if not isinstance(checkpoint, Mapping):
        raise ModelError(f"{path}: found a {type(checkpoint).__name__}, needed a state dict")
    if not checkpoint:
        return {}, ""
    candidates = [*_candidates(checkpoint, ())]
    if not candidates:
        raise ModelError(f"{path}: {_missing(checkpoint, path)}")
    best = _best(candidates)
    if len(best) > 1:
        key = "".join(f"[{each!r}]" for each in best[0].keys)
        raise ModelError(
            f"{path}: found weights under {' and '.join(each.name for each in best)}, needed one of them: "
            f"save it alone, such as torch.save(torch.load({path.name!r}){key}, 'weights.pth')"
        )
    return _without_prefixes(best[0].state), best[0].name


def _without_prefixes(state: State) -> State:
    while prefix := next((each for each in PREFIXES if all(key.startswith(each) for key in state)), None):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _candidates(content: Mapping[object, object], keys: tuple[str, ...]) -> Iterator[Candidate]:
    if (state := _as_state(content)) is not None:
        yield Candidate(keys, state)
        return
    if "param_groups" in content or len(keys) >= MAX_DEPTH:  # the first is an optimizer
        return
    for key, value in content.items():
        if isinstance(value, Mapping) and isinstance(key, str) and not OTHER.search(key):
            yield from _candidates(value, (*keys, key))


def _as_state(content: Mapping[object, object]) -> State | None:
    """Return `content` as a state dict if it is one: only tensors, not all of them single numbers."""
    state = {key: value for key, value in content.items() if not str(key).endswith(EXTRA_STATE)}
    if not all(isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()):
        return None
    tensors = {str(key): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    return tensors if any(value.ndim for value in tensors.values()) else None


def _best(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates that stand out, one if the choice is clear."""
    plain = [each for each in candidates if not _is_averaged(each)]
    most = max((len(each.state) for each in plain), default=0)
    averaged = [each for each in candidates if _is_averaged(each) and len(each.state) >= most]
    usual = [each for each in plain if each.keys and USUAL.fullmatch(each.keys[-1])]
    best = averaged or usual or plain
    first = best[0].state
    return best[:1] if all(_equal(each.state, first) for each in best) else best


def _is_averaged(candidate: Candidate) -> bool:
    return any(AVERAGED.search(key) for key in candidate.keys)


def _equal(state: State, other: State) -> bool:
    return state.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in state.items())


def _missing(checkpoint: Mapping[object, object], path: Path) -> str:
    """Return what was found instead of weights, and the remedy."""
    networks = {str(key): type(value).__name__ for key, value in checkpoint.items() if isinstance(value, StandIn)}
    if named := {key: name for key, name in networks.items() if AVERAGED.search(key) or USUAL.fullmatch(key)}:
        key = next(iter(named))
        return (
            f"contains code and was not loaded: {', '.join(sorted(set(named.values())))}; "
            f"its {key!r} is a whole network with its classes: {export_remedy(path, named.values(), key)}"
        )
    others = [str(key) for key, value in checkpoint.items() if not isinstance(value, torch.Tensor)]
    if not others:
        return "found no weights, needed a state dict: save it again with torch.save(network.state_dict(), FILE)"
    if len(others) < len(checkpoint):
        return f"needed a state dict of tensors only, found also {abbreviate(others)}"
    return f"found no weights, only {abbreviate(others)}; needed a mapping of tensors such as network.state_dict()"
