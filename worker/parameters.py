"""What a client may ask of an answer: parsed from text or JSON alike, anything unknown refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worker.errors import BadParameter
from worker.labels import ACTIVATIONS, LANGUAGES

BOTH = "both"


@dataclass(frozen=True)
class Parameters:
    """How many classes, from which score on, named in which language; `model` only has to match.

    `function_to_apply` is the Hugging Face name for an activation other than the model's own.
    """

    top_k: int = 5
    threshold: float = 0.0
    labels: str = BOTH
    model: str | None = None
    function_to_apply: str | None = None


PREDICT = ("top_k", "threshold", "labels", "model")
HUGGING_FACE = ("top_k", "threshold", "labels", "function_to_apply")


def parse_parameters(*sources: Mapping[str, object], known: tuple[str, ...]) -> Parameters:
    """Merge the parameters of a request's parts; raises BadParameter, naming parameter, finding and need."""
    given: dict[str, object] = {}
    for source in sources:
        for name, value in source.items():
            if name not in known:
                raise BadParameter(f'unknown parameter "{name}"; known: {", ".join(known)}')
            if name in given:
                raise BadParameter(f"{name} is given twice; give it once")
            given[name] = value
    parsed = {name: _PARSERS[name](name, value) for name, value in given.items() if value is not None}
    return Parameters(**parsed)  # type: ignore[arg-type]


def _whole(name: str, value: object) -> int:
    try:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError
        number = int(value)  # type: ignore[call-overload]
        if number < 1:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise BadParameter(f"{name} must be a whole number of at least 1, found {value!r}") from None
    return number


def _share(name: str, value: object) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)  # type: ignore[arg-type]
        if not 0 <= number <= 1:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise BadParameter(f"{name} must be a number from 0 to 1, found {value!r}") from None
    return number


def _one_of(*choices: str) -> Callable[[str, object], str]:
    def parse(name: str, value: object) -> str:
        if value not in choices:
            raise BadParameter(f"{name} must be one of {', '.join(choices)}, found {value!r}")
        return str(value)

    return parse


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadParameter(f"{name} must be a text, found {value!r}")
    return value


_PARSERS: dict[str, Callable[[str, object], object]] = {
    "top_k": _whole,
    "threshold": _share,
    "labels": _one_of(*LANGUAGES, BOTH),
    "model": _text,
    "function_to_apply": _one_of(*ACTIVATIONS),
}
