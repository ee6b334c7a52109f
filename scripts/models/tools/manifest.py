"""Write the text of model.toml from the description of a model. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from scripts._vendor import tomlkit
from worker.contract.engines import first_for
from worker.contract.loaders.checkpoint import NETWORK_CODE
from worker.decode import ROUNDINGS
from worker.models.input import RGB
from worker.models.loaders import Description
from worker.models.output import Golden
from worker.models.zero_shot import ZeroShot

BATCH_SIZES = (1, 4)


def labels_file(language: str) -> str:
    return f"labels.{language}.txt"


def model_toml(
    name: str,
    found: Description,
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
    table["loader"] = found.loader
    if found.architecture:
        table["architecture"] = found.architecture
    table["weights"] = found.weights
    if NETWORK_CODE in found.files:
        table["trust_code"] = True
    table |= {"files": dict(digests), "input": input_table(found), "output": output_table(found, languages)}
    if zero_shot:
        table["zero_shot"] = {"language": zero_shot.language, "templates": list(zero_shot.templates)}
    table["golden"] = [golden_table(golden)]
    table["engine"] = engine_table(first_for(found.loader).name, "f32")
    return to_text(table)


def to_text(table: Mapping[str, Any]) -> str:
    """Return `table` as TOML text, with its keys in their order."""
    return str(tomlkit.dumps(table))


def input_table(found: Description) -> dict[str, Any]:
    geometry, channels = found.geometry, len(found.mean)
    table: dict[str, Any] = {"channels": channels} if channels != RGB else {}
    table["size"] = list(geometry.size)
    if geometry.resize:
        table["resize"] = list(geometry.resize) if isinstance(geometry.resize, tuple) else geometry.resize
    if geometry.rounding != ROUNDINGS[0]:
        table["rounding"] = geometry.rounding
    return table | {"interpolation": geometry.interpolation, "mean": list(found.mean), "std": list(found.std)}


def output_table(found: Description, languages: Iterable[str], **more: Any) -> dict[str, Any]:
    labels = {language: labels_file(language) for language in languages}
    return {"activation": found.activation, **more, "labels": labels}


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
