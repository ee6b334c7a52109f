"""The options of the model commands; an empty string stands for an option that was left out.

Each option is declared here once: the command line parses it, and the tool receives it as JSON.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from scripts.base.options import Flag
from scripts.models.model_store import MODELS


@dataclass(frozen=True)
class ModelOptions:
    """The folder that holds the model folders, and the name of one of them."""

    models: Annotated[Path, Flag("the folder of the model folders")] = MODELS
    name: Annotated[str, Flag("only this model")] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", self.models.absolute())  # tools run in another directory

    @property
    def target(self) -> Path:
        """The path of the model folder called `name`."""
        return self.models / self.name


@dataclass(frozen=True)
class PrepareOptions(ModelOptions):
    """How to prepare a model: on which images, and how thoroughly."""

    calibration: Annotated[str, Flag("a folder of your own images to measure on", "DIR")] = ""
    prepare: Annotated[str, Flag("quick: measure for less time; 0: do not measure", "HOW")] = ""


@dataclass(frozen=True)
class AddModelOptions(PrepareOptions):
    """What to make a model folder from."""

    name: Annotated[str, Flag("the new model's name")] = ""
    source: Annotated[str, Flag("the model's file or folder", "PATH")] = ""
    loader: Annotated[str, Flag("the loader; if left out, it is detected", "NAME")] = ""
    architecture: Annotated[str, Flag("the architecture, if the loader needs one", "NAME")] = ""
    channels: Annotated[str, Flag("adapt the network to images with this many channels", "N")] = ""
    mean: Annotated[str, Flag("the mean of each channel, on a scale of 0 to 1", "M,M,M")] = ""
    std: Annotated[str, Flag("the standard deviation of each channel, on a scale of 0 to 1", "S,S,S")] = ""
    size: Annotated[str, Flag("the network's input in pixels", "N or HxW")] = ""
    resize: Annotated[str, Flag("the size before the centre is cut out; none: stretch the image", "N or HxW")] = ""
    interpolation: Annotated[str, Flag("how images are scaled, such as bicubic", "NAME")] = ""
    activation: Annotated[str, Flag("how logits become scores: softmax, sigmoid or none", "NAME")] = ""
    range: Annotated[str, Flag("black and white of values wider than 8 bits", "LOW,HIGH")] = ""
    background: Annotated[str, Flag("the colour behind transparent parts; drop: leave transparency out", "R,G,B")] = ""
    output: Annotated[str, Flag("the output with the scores, if the network has several", "NAME")] = ""
    labels: Annotated[str, Flag("files with one label per line, by language", "LANGUAGE:FILE,...")] = ""
    retired: Annotated[str, Flag("retired variables, refused with their replacement", "NAME=FILE ...")] = ""
    templates: Annotated[str, Flag("texts for a zero-shot model's labels", "FILE")] = ""
    golden: Annotated[str, Flag("an image whose answer later checks must reproduce", "FILE")] = ""
    trust_code: Annotated[bool, Flag("run the network.py beside the weights")] = False
    force: Annotated[bool, Flag("replace an existing model folder of this name")] = False
    origin: str = ""  # the source of fetched files, which are then linked, not copied


@dataclass(frozen=True)
class FetchModelOptions(AddModelOptions):
    """What to fetch, and how to make a model folder from it."""

    source: Annotated[str, Flag("hf:ORG/NAME, ms:ORG/NAME, torchvision:NAME, timm:NAME or URL")] = ""
    revision: Annotated[str, Flag("a branch, tag or commit; or the name of weights")] = ""
    sha256: Annotated[str, Flag("the sha256 of the file at a URL")] = ""


@dataclass(frozen=True)
class EvaluateOptions(ModelOptions):
    """Which model to evaluate, or which ones to compare, and on which images."""

    name: Annotated[str, Flag("the model's folder, or the name it is served under; a,b compares", "NAME")] = ""
    images: Annotated[str, Flag("a folder for each class, or a CSV file", "PATH")] = ""
    out: Annotated[str, Flag("the report's folder (evaluation/NAME)", "DIR")] = ""


@dataclass(frozen=True)
class TeachOptions(ModelOptions):
    """What to teach, to which model, and the name of the model that results."""

    name: Annotated[str, Flag("the new model's name")] = ""
    images: Annotated[str, Flag("a folder with a folder for each class", "DIR")] = ""
    add: Annotated[str, Flag("the same, of what is added to a model that was taught", "DIR")] = ""
    base: Annotated[str, Flag("the model that is taught (photos); with --add, that which is added to", "NAME")] = ""
    force: Annotated[bool, Flag("replace an existing model folder of this name")] = False


@dataclass(frozen=True)
class VerifyOptions(ModelOptions):
    """Which models to verify, and how to report."""

    json: Annotated[bool, Flag("report as JSON")] = False
