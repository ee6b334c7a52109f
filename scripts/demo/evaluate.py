"""What the exported model answers, by OpenVINO, through the decode of serving."""

from collections.abc import Iterable

import numpy as np
import openvino as ov
from openvino.preprocess import ColorFormat, PrePostProcessor

from scripts.demo.decode import MEAN, STD, decode
from scripts.demo.pictures import Picture, picture

BATCH = 50

# Streams of pictures that training never sees, as distances from its seed.
HELD_OUT = 1_000_000
GOLDEN = 2_000_000
FRESH = 3_000_000  # the unit test's own


def compiled(model: ov.Model) -> ov.CompiledModel:
    """The network with uint8 NHWC input and normalisation put in front; everything but int8 layers in f32."""
    steps = PrePostProcessor(model.clone())
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().tensor().set_color_format(ColorFormat.RGB)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    stages = steps.input().preprocess().convert_element_type(ov.Type.f32)
    stages.mean([255 * value for value in MEAN]).scale([255 * value for value in STD])
    return ov.Core().compile_model(steps.build(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def scores(network: ov.CompiledModel, pictures: Iterable[Picture]) -> np.ndarray:
    """Softmax scores, float32 [pictures, classes]."""
    pixels = np.stack([decode(one.jpeg) for one in pictures])
    logits = np.concatenate([network(pixels[at : at + BATCH])[0] for at in range(0, len(pixels), BATCH)])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def stream(seed: int, count: int) -> list[Picture]:
    return [picture(seed, index) for index in range(count)]


def accuracy(answers: np.ndarray, pictures: Iterable[Picture]) -> float:
    """Top-1 share of `answers` (class indices) that are the pictures' labels."""
    return float(np.mean(answers == [one.label for one in pictures]))
