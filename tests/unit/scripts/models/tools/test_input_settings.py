"""A description with the values of MEAN=, SIZE= and the like, checked as a worker checks model.toml."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scripts.models.tools.input_settings import is_assumed, with_values
from worker.contract.toml_reader import ModelError
from worker.decode import Geometry
from worker.models.loaders import Description

USUAL = Description(
    loader="onnx", architecture="", weights="m.onnx", files={}, geometry=Geometry((224, 224), 256, "bilinear"),
    mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), labels={}, activation="softmax",
)  # fmt: skip
OWN_FILE = replace(USUAL, loader="transformers", files={"preprocessor_config.json": Path("p")})


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({}, {}),
        ({"mean": [0.5], "std": [1 / 255]}, {"mean": (0.5,) * 3, "std": (1 / 255,) * 3}),
        ({"size": [32, 32]}, {"geometry": Geometry((32, 32), None, "bilinear")}),
        ({"size": [300, 300], "resize": 342}, {"geometry": Geometry((300, 300), 342, "bilinear")}),
        ({"resize": None, "interpolation": "bicubic"}, {"geometry": Geometry((224, 224), None, "bicubic")}),
        ({"resize": [256, 240]}, {"geometry": Geometry((224, 224), (256, 240), "bilinear")}),
        ({"activation": "none"}, {"activation": "none"}),
        ({"range": [0.0, 4095.0], "background": [0, 0, 0]}, {"input": {"range": [0.0, 4095.0], "background": [0] * 3}}),
    ],
)
def test_values_replace_those_of_the_description(values: dict[str, Any], changed: dict[str, Any]) -> None:
    assert with_values(USUAL, values) == replace(USUAL, **changed)


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({"mean": [0.1] * 4}, ["MEAN: found 4 numbers, needed 3, one for each channel, or one for all of them"]),
        ({"std": [0.0]}, ["STD: must be above 0, found [0.0, 0.0, 0.0]"]),
        ({"size": [0, 8]}, ["SIZE: must be [height, width] of at least 1 pixel, found [0, 8]"]),
        ({"resize": 200}, ["RESIZE: must be at least the larger side of size [224, 224], found 200"]),
        (
            {"interpolation": "cubic", "activation": "relu"},
            [
                "ACTIVATION: needs one of softmax, sigmoid, none, found 'relu'",
                "INTERPOLATION: needs one of nearest, bilinear, bicubic, lanczos, box, found 'cubic'",
            ],
        ),
        ({"range": [9.0, 1.0]}, ["RANGE: must be [black, white], the first below the second, found [9.0, 1.0]"]),
        ({"background": [0, 0, 256]}, ["BACKGROUND: must be red, green and blue from 0 to 255, found [0, 0, 256]"]),
    ],
)
def test_a_value_that_a_worker_would_refuse_is_refused(values: dict[str, Any], lines: list[str]) -> None:
    with pytest.raises(ModelError) as caught:
        with_values(USUAL, values)
    assert str(caught.value).splitlines() == lines


def test_values_against_a_file_of_the_model_are_marked() -> None:
    found = with_values(OWN_FILE, {"mean": [0.5], "size": [64, 64], "activation": "sigmoid"})
    assert found.input == {"overrides": ["size", "resize", "mean"]}


def test_what_is_assumed_is_known() -> None:
    normalisation = {"mean": [0.5], "std": [0.5]}
    assert is_assumed(USUAL, {})
    assert is_assumed(USUAL, {"size": [32, 32]})
    assert not is_assumed(USUAL, normalisation)
    assert not is_assumed(OWN_FILE, {})
    labelled = replace(USUAL, loader="torchvision", labels={"en": ("cat",)})
    assert not is_assumed(labelled, {})
    assert is_assumed(replace(labelled, labels={}), {})
