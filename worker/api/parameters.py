"""Parse the parameters of a request, from text or JSON alike; unknown ones are refused."""

from collections.abc import Callable, Mapping

import msgspec
from msgspec.structs import replace

from worker.api.candidates import CANDIDATES
from worker.api.uploads import repeated_parameter
from worker.contract.errors import ErrorCode, ServiceError, cut, quoted
from worker.contract.languages import BOTH
from worker.models.labels import ACTIVATIONS
from worker.models.scores import THRESHOLD, TOP_K, Output


class Parameters(msgspec.Struct, frozen=True):
    """How many classes to return, from which score, labelled in which language; `model` must be the served one.

    `heat_map` requests a heat map of class `class_index`, or of the best class if that is None.
    `function_to_apply` is Hugging Face's name for an activation that replaces the model's own.
    """

    top_k: int = TOP_K
    threshold: float = THRESHOLD
    labels: str = BOTH
    model: str | None = None
    heat_map: bool = False
    class_index: int | None = None
    function_to_apply: str | None = None


PREDICT = ("top_k", "threshold", "labels", "model", "heat_map", "class", *CANDIDATES)
HUGGING_FACE = ("top_k", "threshold", "labels", "function_to_apply", *CANDIDATES)
FIELDS = {"class": "class_index"}  # a parameter whose name is a Python keyword
FLAGS = {"true": True, "false": False}

Parse = Callable[[str, object], object]


def parse_parameters(*sources: Mapping[str, object], known: tuple[str, ...], output: Output) -> Parameters:
    """Merge the parameters of a request's parts, without CANDIDATES, over the defaults of the model's `output`.

    Raise ServiceError BAD_PARAMETER if one is unknown, repeated or invalid.
    """
    given: dict[str, object] = {}
    for source in sources:
        for name, value in source.items():
            if name not in known:
                raise ServiceError(
                    ErrorCode.BAD_PARAMETER,
                    f'found parameter "{cut(name)}", needed one of {", ".join(known)}: correct its name or remove it',
                )
            if name in given:
                raise repeated_parameter(name)
            given[name] = value
    defaults = Parameters(output.top_k, output.threshold)
    if not given:
        return defaults
    parsers = _parsers(output)
    parsed = {FIELDS.get(name, name): parsers[name](name, value) for name, value in given.items() if value is not None}
    parameters = replace(defaults, **parsed)
    if parameters.class_index is not None and not parameters.heat_map:
        raise ServiceError(
            ErrorCode.BAD_PARAMETER, "found class without a heat map, needed heat_map=true: send both or none"
        )
    return parameters


def _parsers(output: Output) -> dict[str, Parse]:
    return {
        "top_k": _whole("a whole number of at least 1", 1),
        "threshold": _share,
        "labels": _one_of(*output.labels.names, BOTH),
        "model": _text,
        "heat_map": _flag,
        "class": _whole(f"the index of a class, 0 to {output.labels.count - 1}", 0, output.labels.count - 1),
        "function_to_apply": _one_of(*ACTIVATIONS),
    }


def _whole(needed: str, lowest: int, highest: int | None = None) -> Parse:
    def parse(name: str, value: object) -> int:
        try:
            if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
                raise ValueError
            number = int(value)  # type: ignore[call-overload]
            if number < lowest or (highest is not None and number > highest):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise _bad_value(name, value, needed) from None
        return int(number)

    return parse


def _share(name: str, value: object) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)  # type: ignore[arg-type]
        if not 0 <= number <= 1:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise _bad_value(name, value, "a number from 0 to 1") from None
    return number


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (word := value.lower()) in FLAGS:  # Python's requests write True
        return FLAGS[word]
    raise _bad_value(name, value, "true or false")


def _one_of(*choices: str) -> Parse:
    def parse(name: str, value: object) -> str:
        if value not in choices:
            raise _bad_value(name, value, f"one of {', '.join(choices)}")
        return str(value)

    return parse


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _bad_value(name, value, "a string")
    return value


def _bad_value(name: str, value: object, needed: str) -> ServiceError:
    return ServiceError(ErrorCode.BAD_PARAMETER, f"found {name} {quoted(value)}, needed {needed}: correct it")
