"""Apply the values of MEAN=, SIZE= and the other variables of preprocessing to a model's description."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from scripts.models.tools.manifest import input_table
from worker.contract.loaders import LOADERS
from worker.contract.toml_reader import ModelError, TomlReader
from worker.decode import Geometry
from worker.models.input import OVERRIDABLE, read_input
from worker.models.labels import ACTIVATIONS
from worker.models.loaders import Description

NORMALISATION, PIXELS = ("mean", "std"), ("range", "background")
ASSUMED = (
    "the preprocessing is assumed, since the file does not state it; if the network was trained with another, set "
    "MEAN=, STD=, SIZE=, RESIZE=, INTERPOLATION="
)


def with_values(description: Description, values: Mapping[str, Any]) -> Description:
    """Return `description` with the `values` by key of [input] and [output], checked as a worker checks them.

    Raise ModelError with a line for each fault.
    """
    channels = len(description.mean)
    changed = replace(
        description,
        geometry=_geometry(description.geometry, values),
        input={key: values[key] for key in PIXELS if key in values},
        mean=_per_channel("mean", values.get("mean", description.mean), channels),
        std=_per_channel("std", values.get("std", description.std), channels),
    )
    if described_by_file(description):
        resized = {**values} | ({"resize": None} if "size" in values else {})
        overrides = [key for key in OVERRIDABLE if key in resized]
        changed = replace(changed, input={**changed.input, **({"overrides": overrides} if overrides else {})})
    reader = TomlReader({**input_table(changed), "activation": values.get("activation", description.activation)}, "")
    activation = reader.choice("activation", ACTIVATIONS)
    read_input(reader)
    try:
        reader.raise_faults()
    except ModelError as error:
        raise ModelError("\n".join(map(_with_variable, str(error).splitlines()))) from error
    return replace(changed, activation=activation)


def described_by_file(description: Description) -> bool:
    """Return whether a file of the model states its preprocessing."""
    return LOADERS[description.loader].described_by in description.files


def is_assumed(description: Description, values: Mapping[str, Any]) -> bool:
    """Return whether the mean and std are only the usual ones of the architecture or of ImageNet."""
    loader = LOADERS[description.loader]
    of_library = bool(description.labels) and loader.needs_architecture
    stated = described_by_file(description) or description.states_preprocessing
    return not (stated or of_library or loader.reads_texts) and not {*NORMALISATION} <= values.keys()


def _geometry(geometry: Geometry, values: Mapping[str, Any]) -> Geometry:
    """Return `geometry` with the `values`; a new size without a resize means that the whole image is stretched."""
    if "size" in values:
        geometry = replace(geometry, size=(values["size"][0], values["size"][1]), resize=None)
    if "resize" in values:
        resize = values["resize"]
        geometry = replace(geometry, resize=(resize[0], resize[1]) if isinstance(resize, list) else resize)
    return replace(geometry, interpolation=values.get("interpolation", geometry.interpolation))


def _per_channel(name: str, numbers: Sequence[float], channels: int) -> tuple[float, ...]:
    if len(numbers) not in (1, channels):
        found = f"{name.upper()}: found {len(numbers)} numbers"
        raise ModelError(f"{found}, needed {channels}, one for each channel, or one for all of them")
    return tuple(numbers) if len(numbers) == channels else tuple(numbers) * channels


def _with_variable(fault: str) -> str:
    """Return the `fault` of a key of model.toml with the name of its variable."""
    key, colon, what = fault.removeprefix(": ").partition(": ")
    return f"{key.upper()}{colon}{what}"
