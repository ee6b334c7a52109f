"""Write the text of model.toml from the description of a model. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from scripts._vendor import tomlkit
from worker.contract.engines import first_for
from worker.contract.loaders.checkpoint import NETWORK_CODE
from worker.decode import ROUNDINGS, Pixels
from worker.models.input import DROP, RGB
from worker.models.loaders import Description
from worker.models.output import Golden
from worker.models.zero_shot import ZeroShot

BATCH_SIZES = (1, 4)


def labels_file(language: str) -> str:
    return f"labels.{language}.txt"


def model_toml(
    name: str,
    description: Description,
    digests: Mapping[str, str],
    languages: Iterable[str],
    golden: Golden,
    source: str = "",
    zero_shot: ZeroShot | None = None,
) -> str:
    """Return the text of model.toml; it sets trust_code if the model includes network code.

    `digests` are the sha256 of all files by path; `golden.image` is a relative path too; `source` is the files' origin.
    """
    table: dict[str, Any] = {"name": name, "version": "1"}
    if source:
        table["source"] = source
    table["loader"] = description.loader
    if description.architecture:
        table["architecture"] = description.architecture
    table["weights"] = description.weights
    if NETWORK_CODE in description.files:
        table["trust_code"] = True
    table |= {"files": dict(digests), "input": input_table(description), "output": output_table(description, languages)}
    if zero_shot:
        table["zero_shot"] = {"language": zero_shot.language, "templates": list(zero_shot.templates)}
    table["golden"] = [golden_table(golden)]
    table["engine"] = engine_table(first_for(description.loader).name, "f32")
    return to_text(table)


def to_text(table: Mapping[str, Any]) -> str:
    """Return `table` as TOML text, with its keys in their order."""
    return str(tomlkit.dumps(table))


def input_table(description: Description) -> dict[str, Any]:
    geometry, channels = description.geometry, len(description.mean)
    table: dict[str, Any] = {"channels": channels} if channels != RGB else {}
    table["size"] = list(geometry.size)
    if geometry.resize:
        table["resize"] = list(geometry.resize) if isinstance(geometry.resize, tuple) else geometry.resize
    if geometry.rounding != ROUNDINGS[0]:
        table["rounding"] = geometry.rounding
    table |= {
        "interpolation": geometry.interpolation,
        "mean": list(description.mean),
        "std": list(description.std),
    }
    # What torchvision, timm, transformers and OpenCLIP train with: images converted to RGB without their transparency.
    usual = {} if Pixels(channels).banded else {"background": DROP}
    return table | usual | dict(description.input)


def output_table(description: Description, languages: Iterable[str], **extra: Any) -> dict[str, Any]:
    labels = {language: labels_file(language) for language in languages}
    tensor = {"tensor": description.tensor} if description.tensor else {}
    return {"activation": description.activation, **tensor, **extra, "labels": labels}


def golden_table(golden: Golden) -> dict[str, Any]:
    return {
        "image": str(golden.image),
        "index": golden.index,
        "label": golden.label,
        "score": round(golden.score, 4),
        **({"example": True} if golden.example else {}),
    }


def engine_table(name: str, precision: str) -> dict[str, Any]:
    return {"name": name, "precision": precision, "batch_sizes": list(BATCH_SIZES)}
