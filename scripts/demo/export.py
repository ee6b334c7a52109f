"""From a trained network to a model folder: OpenVINO IR (int8 where it answers alike), goldens, figures."""

import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino as ov
import torch
from torch import nn

from scripts.demo import evaluate, folder
from scripts.demo.classes import read_things
from scripts.demo.decode import SIZE, decode
from scripts.demo.network import normalise
from scripts.demo.pictures import Picture, picture

CALIBRATION = 400  # pictures of the training stream, for the int8 ranges
LEAST_AGREEMENT = 0.98  # of int8 with f32, top-1
SURE = 0.93  # score below which a picture is no golden one
STEADY = 0.01  # most that f32 and int8 may differ on it: other CPUs round int8 otherwise, and must agree too
TRIES = 50  # pictures looked at for a golden one
GOLDEN_SIDE = 160  # pixels, shorter side
POSTER = ("butterfly", 400)  # the picture that is posted after set-up, and its shorter side
GOLDEN = ("red apple", "cat", "penguin", "sunflower", "pizza", "bicycle", "umbrella", "guitar", "scissors")
PACKAGES = ("torch", "openvino", "nncf", "pillow", "numpy", "emoji")


@dataclass(frozen=True)
class Trained:
    network: nn.Module
    seed: int
    seconds: float


class TooPoorError(RuntimeError):
    """The network answers too few held-out pictures rightly."""


def export(trained: Trained, out: Path, held_out: int, least_accuracy: float) -> dict[str, Any]:
    """Write the model folder `out` anew; the figures kept in its accuracy.json.

    `TooPoorError`, and `out` stays as it was, if fewer than `least_accuracy` of `held_out` pictures are right.
    """
    exact = convert(trained.network)
    small = quantise(exact, trained.seed)
    pictures = evaluate.stream(trained.seed + evaluate.HELD_OUT, held_out)
    networks = {"f32": evaluate.compiled(exact), "int8": evaluate.compiled(small)}
    answers = {name: evaluate.scores(network, pictures).argmax(1) for name, network in networks.items()}
    agreement = float(np.mean(answers["f32"] == answers["int8"]))
    precision = "int8" if agreement >= LEAST_AGREEMENT else "f32"
    figures: dict[str, Any] = {
        "accuracy": evaluate.accuracy(answers[precision], pictures),
        "pictures": held_out,
        "seed": trained.seed,
        "classes": len(read_things()),
        "precision": precision,
        "f32_accuracy": evaluate.accuracy(answers["f32"], pictures),
        "int8_accuracy": evaluate.accuracy(answers["int8"], pictures),
        "int8_agreement": agreement,
        "training_seconds": round(trained.seconds),
        "versions": {package: version(package) for package in PACKAGES},
    }
    if figures["accuracy"] < least_accuracy:
        raise TooPoorError(
            f"{figures['accuracy']:.2%} of {held_out} held-out pictures right, "
            f"{least_accuracy:.2%} is needed; {out} was not written"
        )
    with tempfile.TemporaryDirectory(dir=out.parent) as workshop:
        draft = Path(workshop) / out.name
        draft.mkdir()
        ov.save_model(small if precision == "int8" else exact, draft / folder.WEIGHTS, compress_to_fp16=True)
        saved = evaluate.compiled(ov.Core().read_model(draft / folder.WEIGHTS))
        wanted = [POSTER, *((name, GOLDEN_SIDE) for name in GOLDEN)]
        goldens = [golden(saved, networks["f32"], trained.seed, name, side) for name, side in wanted]
        folder.write(draft, figures, goldens)
        shutil.rmtree(out, ignore_errors=True)
        draft.rename(out)
    return figures


def convert(network: nn.Module) -> ov.Model:
    """OpenVINO model: normalised float32 [-1, 3, SIZE, SIZE] to logits."""
    plain = network.to(memory_format=torch.contiguous_format)
    return ov.convert_model(
        plain,
        example_input=torch.zeros(1, 3, SIZE, SIZE),
        input=[(ov.PartialShape([-1, 3, SIZE, SIZE]), ov.Type.f32)],
    )


def quantise(model: ov.Model, seed: int) -> ov.Model:
    """Post-training int8, ranges taken from pictures of the training stream."""
    pixels = [decode(one.jpeg) for one in evaluate.stream(seed, CALIBRATION)]
    samples = [np.ascontiguousarray(normalise(torch.from_numpy(one.copy())[None]).numpy()) for one in pixels]
    return nncf.quantize(model.clone(), nncf.Dataset(samples), subset_size=CALIBRATION)


def golden(network: ov.CompiledModel, exact: ov.CompiledModel, seed: int, name: str, side: int) -> folder.Golden:
    """The first picture of the thing that is answered rightly, surely, and by the exact network alike.

    `RuntimeError` after TRIES.
    """
    label = [thing.english for thing in read_things()].index(name)
    for index in range(label * TRIES, (label + 1) * TRIES):  # a background of its own for each thing
        one: Picture = picture(seed + evaluate.GOLDEN, index, label, side)
        score, reference = (float(evaluate.scores(which, [one])[0, label]) for which in (network, exact))
        if score >= SURE and abs(score - reference) <= STEADY:
            return folder.Golden(name, label, score, one.jpeg)
    raise RuntimeError(f"none of {TRIES} pictures of {name!r} was answered alike by f32 and surely (from {SURE})")
