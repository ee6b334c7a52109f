"""Describe exported networks: OpenVINO's own format, and ONNX with its weights inside or in files next to it.

They state the shape of their input but not the preprocessing. It is taken from files beside them, else from the first
steps of the graph; else ImageNet's usual values stand in.
"""

from dataclasses import replace
from pathlib import Path

import openvino as ov

from worker.contract.loaders import LOADERS
from worker.contract.model_files import GRAPHS
from worker.contract.toml_reader import ModelError
from worker.decode import Geometry
from worker.models.labels import SOFTMAX
from worker.models.loaders import Description, detect
from worker.models.loaders.channels import RGB, normalisation
from worker.models.loaders.companion_files import companion_files
from worker.models.loaders.companion_settings import Settings, settings_beside
from worker.models.loaders.graph import GraphInput, read, read_input
from worker.models.loaders.metadata_inside import settings_inside
from worker.models.loaders.normalised_inside import value_range
from worker.models.loaders.outputs import RAW, choose_output, read_outputs
from worker.models.loaders.outputs import SOFTMAX as INNER_SOFTMAX

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DEFAULT_SIDE = 224  # pixels
RESIZE_FACTOR = 256 / 224  # the shorter side before the crop, relative to the size after it


def describe(path: Path, architecture: str) -> Description:
    """Return the description: the network's input shape and files, and its preprocessing where one is stated.

    Raise ModelError if it cannot be read, or its input or outputs are no classifier's.
    """
    main, notes = _find_graph(path)
    loader = next(name for name in ("onnx", "openvino") if main.suffix in LOADERS[name].suffixes)
    weights, network = companion_files(main), read(main)
    description = describe_graph(network, main, settings_beside(main) or settings_inside(network, main))
    files = {file.name: file for file in (main, *weights)}
    return replace(description, loader=loader, weights=main.name, files=files, notes=(*notes, *description.notes))


def describe_graph(network: ov.Model, source: Path, settings: Settings | None) -> Description:
    """Return the description of `network`, read from `source`, without its files.

    Raise ModelError if its input or outputs are no classifier's, or `settings` do not suit it.
    """
    graph_input, outputs = read_input(network, source), read_outputs(network)
    if not outputs:
        raise ModelError(f"{source}: has no output, needed one with a score for each class: export it again")
    description = _with_preprocessing(network, graph_input, source, settings)
    stated = (settings and settings.geometry) or value_range(network, graph_input)
    if settings:
        description = replace(description, labels=settings.labels, activation=settings.activation)
    return replace(description, outputs=outputs, states_preprocessing=bool(stated))


def with_chosen_output(description: Description, name: str, count: int) -> Description:
    """Return `description` with the output `name`, or for "" the first that has a score for each of `count` labels.

    An activation that is part of the network is not applied again. Raise ModelError if no output fits.
    """
    chosen = choose_output(description.outputs, name, count)
    if count == 1 and chosen.inside == INNER_SOFTMAX:
        raise ModelError(
            f"output {chosen}: it ends in a softmax of one class, which is 1 for every image: needed two classes, or a "
            "sigmoid: export it so"
        )
    notes = list(description.notes)
    if len(description.outputs) > 1:
        others = ", ".join(output.name for output in description.outputs if output is not chosen)
        notes.append(f"output {chosen.name} (OUTPUT= chooses another: {others})")
    activation = description.activation
    if chosen.inside != RAW:
        activation = "none"
        notes.append(f"activation none: the network ends in a {chosen.inside.lower()} of its own")
    tensor = chosen.name if len(description.outputs) > 1 else ""
    return replace(description, activation=activation, tensor=tensor, notes=tuple(notes))


def description_from_shape(
    loader: str, main: Path, weights: list[Path], channels: int, height: int, width: int
) -> Description:
    """Return the description of a network of which only the shape of the input is known."""
    size = (height, width)
    mean, std = (normalisation(values, channels) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return Description(
        loader=loader, architecture="", weights=main.name, files={file.name: file for file in (main, *weights)},
        geometry=Geometry(size, round(max(size) * RESIZE_FACTOR), "bilinear"), mean=mean, std=std,
        labels={}, activation=SOFTMAX,
    )  # fmt: skip


def is_quantised(path: Path) -> bool:
    """Return whether the network in `path` is int8. Raise ModelError if it cannot be read."""
    return any(operation.get_type_name() == "FakeQuantize" for operation in read(path).get_ops())


def _with_preprocessing(
    network: ov.Model, graph_input: GraphInput, source: Path, settings: Settings | None
) -> Description:
    channels = graph_input.channels or (len(settings.mean) if settings and settings.mean else RGB)
    stated = settings.geometry if settings else None
    height, width = stated.size if stated else (DEFAULT_SIDE, DEFAULT_SIDE)
    size = (graph_input.height or height, graph_input.width or width)
    description = description_from_shape("", source, [], channels, *size)
    if stated and settings:
        if stated.size != size:
            raise ModelError(
                f"{source}: takes {size[0]} x {size[1]} pixels, but {settings.source} says "
                f"{stated.size[0]} x {stated.size[1]}: needed files of one model"
            )
        description = replace(description, geometry=stated)
    if inside := value_range(network, graph_input):
        mean, std = ((value,) * channels for value in inside)
        return replace(description, mean=mean, std=std)
    if settings and settings.mean and settings.std:
        mean, std = (normalisation(values, channels) for values in (settings.mean, settings.std))
        return replace(description, mean=mean, std=std)
    return description


def _find_graph(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the network's file in `path`, and a note if others were there. Raise ModelError if none is the usual one.

    Several files beside one another are one network in several precisions, of which the exact one is named in GRAPHS.
    """
    if path.is_file():
        return path, ()
    main = next((path / name for name in GRAPHS if (path / name).is_file()), None)
    main = main or detect.find_file(path, (".onnx", ".xml"))
    others = sorted(file.name for file in main.parent.iterdir() if file.suffix in (".onnx", ".xml") and file != main)
    note = f"network {main.name} (SOURCE= may name another: {', '.join(others)})"
    return main, (note,) if others else ()
