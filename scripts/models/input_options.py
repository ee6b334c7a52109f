"""Parse the variables that say how images are prepared and what the network's numbers mean: MEAN=, SIZE= and others.

Only their form is checked here, without the worker's libraries; the tool checks the values as a worker does.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from scripts.models.options import AddModelOptions

NONE = "none"  # of RESIZE=: stretch the whole image to SIZE=
MAX_LEVEL = 255
MAX_MEAN, MAX_STD = 1, 2  # larger ones are on a scale of 0 to 255
BRACKETS = "()[]{} "


def input_values(options: AddModelOptions) -> tuple[dict[str, Any], list[str]]:
    """Return the values that `options` set, by key of model.toml's [input] and [output], and a line for each fault."""
    values, faults = {}, []
    for name, (parse, needed) in PARSERS.items():
        text = getattr(options, name).strip()
        if not text:
            continue
        try:
            values[name] = parse(text)
        except ValueError:
            faults.append(f"{name.upper()}: found {text!r}, needed {needed}")
    return values, faults + _scale_faults(values)


def _numbers(text: str) -> list[float]:
    numbers = [_number(part) for part in re.split(r"[,;\s]+", text.strip(BRACKETS))]
    if not all(map(math.isfinite, numbers)):
        raise ValueError
    return numbers


def _number(text: str) -> float:
    """Return the number in `text`, such as 0.5 or 1/255. Raise ValueError if there is none."""
    numerator, slash, denominator = text.partition("/")
    if slash and not float(denominator):
        raise ValueError
    return float(numerator) / float(denominator) if slash else float(text)


def _sides(text: str) -> list[int]:
    """Return the height and the width in `text`. Raise ValueError if it is not one side or two."""
    sides = [int(part) for part in re.split(r"\s*[x×X,*]\s*", text.strip(BRACKETS))]
    if len(sides) > 2:
        raise ValueError
    return sides * 2 if len(sides) == 1 else sides


def _resize(text: str) -> int | list[int] | None:
    if text.lower() == NONE:
        return None
    return int(text) if text.isdecimal() else _sides(text)


def _range(text: str) -> list[float]:
    black, white = _numbers(text.replace("..", ","))
    return [black, white]


def _background(text: str) -> list[int] | str:
    """Return red, green and blue; any word is left for the worker to know."""
    if text.isalpha():
        return text.lower()
    return [int(part) for part in re.split(r"[,\s]+", text.strip(BRACKETS))]


def _scale_faults(values: Mapping[str, Any]) -> list[str]:
    """Return the fault of a mean or std on a scale of 0 to 255, with the values on a scale of 0 to 1."""
    mean, std = values.get("mean", [0.0]), values.get("std", [1.0])
    if max(map(abs, mean)) <= MAX_MEAN and max(std) <= MAX_STD:
        return []
    given = [name for name in ("mean", "std") if name in values]
    found = " ".join(f"{name.upper()}={_text(values[name])}" for name in given)
    scaled = " ".join(f"{name.upper()}={_text([value / MAX_LEVEL for value in values[name]])}" for name in given)
    return [f"MEAN, STD: found {found}, needed values on a scale of 0 to 1; if they are of 0 to 255, set {scaled}"]


def _text(numbers: list[float]) -> str:
    return ",".join(f"{number:.5g}" for number in numbers)


NUMBERS = "a number, or one for each channel, such as 0.485,0.456,0.406"
PARSERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "mean": (_numbers, NUMBERS),
    "std": (_numbers, NUMBERS.replace("0.485,0.456,0.406", "0.229,0.224,0.225 or 1/255")),
    "size": (_sides, "the side of a square in pixels, or HEIGHTxWIDTH, such as 224 or 96x64"),
    "resize": (_resize, f"the shorter side in pixels, HEIGHTxWIDTH, or {NONE} to stretch the image to SIZE"),
    "interpolation": (str.lower, ""),
    "activation": (str.lower, ""),
    "range": (_range, "the values of black and of white, such as 0,4095"),
    "background": (_background, "red, green and blue, such as 255,255,255, or drop"),
}
