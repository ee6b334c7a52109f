"""MEAN=, SIZE= and the other variables of preprocessing: what they may look like, and every fault at once."""

import pytest

from scripts.models.input_options import PARSERS, input_values
from scripts.models.options import AddModelOptions

NUMBERS = "needed a number, or one for each channel, such as 0.485,0.456,0.406"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("mean", "0.485,0.456,0.406", [0.485, 0.456, 0.406]),
        ("mean", "[0.5, 0.5, 0.5]", [0.5, 0.5, 0.5]),
        ("mean", "0", [0.0]),
        ("std", "0.2 0.3 0.4", [0.2, 0.3, 0.4]),
        ("std", "1/255", [1 / 255]),
        ("size", "32", [32, 32]),
        ("size", "96x64", [96, 64]),
        ("size", "96, 64", [96, 64]),
        ("resize", "256", 256),
        ("resize", "256x128", [256, 128]),
        ("resize", "None", None),
        ("interpolation", "Bicubic", "bicubic"),
        ("activation", "sigmoid", "sigmoid"),
        ("range", "0,4095", [0.0, 4095.0]),
        ("range", "0..1023", [0.0, 1023.0]),
        ("background", "0,0,0", [0, 0, 0]),
        ("background", "drop", "drop"),
    ],
)
def test_a_value_is_read(name: str, text: str, value: object) -> None:
    assert input_values(AddModelOptions(**{name: text})) == ({name: value}, [])  # type: ignore[arg-type]


def test_nothing_is_set_without_variables() -> None:
    assert input_values(AddModelOptions()) == ({}, [])
    assert set(PARSERS) == {"mean", "std", "size", "resize", "interpolation", "activation", "range", "background"}


@pytest.mark.parametrize(
    ("name", "text", "needed"),
    [
        ("mean", "a,b,c", NUMBERS),
        ("mean", "nan", NUMBERS),
        ("std", "1/0", "needed a number, or one for each channel, such as 0.229,0.224,0.225 or 1/255"),
        ("size", "32x32x3", "needed the side of a square in pixels, or HEIGHTxWIDTH, such as 224 or 96x64"),
        ("size", "small", "needed the side of a square in pixels, or HEIGHTxWIDTH, such as 224 or 96x64"),
        ("resize", "1.5", "needed the shorter side in pixels, HEIGHTxWIDTH, or none to stretch the image to SIZE"),
        ("range", "4095", "needed the values of black and of white, such as 0,4095"),
        ("background", "#fff", "needed red, green and blue, such as 255,255,255, or drop"),
    ],
)
def test_a_malformed_value_is_refused(name: str, text: str, needed: str) -> None:
    faults = input_values(AddModelOptions(**{name: text}))[1]  # type: ignore[arg-type]
    assert faults == [f"{name.upper()}: found {text!r}, {needed}"]


def test_a_mean_on_a_scale_of_0_to_255_is_refused_with_the_values_to_set() -> None:
    scale = "needed values on a scale of 0 to 1; if they are of 0 to 255, set"
    options = AddModelOptions(mean="123.675,116.28,103.53", std="58.395,57.12,57.375")
    assert input_values(options)[1] == [
        "MEAN, STD: found MEAN=123.67,116.28,103.53 STD=58.395,57.12,57.375, "
        f"{scale} MEAN=0.485,0.456,0.406 STD=0.229,0.224,0.225"
    ]
    assert input_values(AddModelOptions(mean="127.5"))[1] == [f"MEAN, STD: found MEAN=127.5, {scale} MEAN=0.5"]
    assert input_values(AddModelOptions(mean="1", std="1"))[1] == []
