"""What the exported model answers, by OpenVINO, through the decode of serving."""

from collections.abc import Iterable

import numpy as np
import openvino as ov

from scripts.demo.decode import GEOMETRY, MEAN, STD, decode
from scripts.demo.pictures import Picture, picture
from worker.engines.openvino import with_preprocessing
from worker.labels import activate
from worker.models.input import Input

BATCH = 50

# Streams of pictures that training never sees, as distances from its seed.
HELD_OUT = 1_000_000
GOLDEN = 2_000_000
FRESH = 3_000_000  # the unit test's own


def compiled(model: ov.Model) -> ov.CompiledModel:
    """The network as serving compiles it, for batches of any size; everything but int8 layers in f32."""
    network = with_preprocessing(model.clone(), Input(GEOMETRY, MEAN, STD))
    return ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def scores(network: ov.CompiledModel, pictures: Iterable[Picture]) -> np.ndarray:
    """Softmax scores, float32 [pictures, classes]."""
    pixels = np.stack([decode(one.jpeg) for one in pictures])
    logits = np.concatenate([network(pixels[at : at + BATCH])[0] for at in range(0, len(pixels), BATCH)])
    return activate(logits, "softmax")


def stream(seed: int, count: int) -> list[Picture]:
    return [picture(seed, index) for index in range(count)]


def accuracy(answers: np.ndarray, pictures: Iterable[Picture]) -> float:
    """Top-1 share of `answers` (class indices) that are the pictures' labels."""
    return float(np.mean(answers == [one.label for one in pictures]))
