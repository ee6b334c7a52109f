"""model.toml as text, from what was found out of a model. Pure."""

import json
from collections.abc import Iterable, Mapping

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
    """The text of model.toml, which trusts the code that comes with the model, if any.

    `digests` are the sha256 of all files by path; `golden.image` is relative too; `source` says where they are from.
    """
    lines = [
        f"name = {quoted(name)}",
        'version = "1"',
        *([f"source = {quoted(source)}"] if source else []),
        f"loader = {quoted(found.loader)}",
        *([f"architecture = {quoted(found.architecture)}"] if found.architecture else []),
        f"weights = {quoted(found.weights)}",
        *(["trust_code = true"] if NETWORK_CODE in found.files else []),
        "",
        "[files]",
        *(f"{quoted(path)} = {quoted(digest)}" for path, digest in digests.items()),
        "",
        *input_lines(found),
        "",
        "[output]",
        f"activation = {quoted(found.activation)}",
        "[output.labels]",
        *(f"{language} = {quoted(labels_file(language))}" for language in languages),
        "",
        *(_zero_shot(zero_shot) if zero_shot else []),
        "[[golden]]",
        f"image = {quoted(str(golden.image))}",
        f"index = {golden.index}",
        f"label = {quoted(golden.label)}",
        f"score = {golden.score:.4f}",
        "",
        "[engine]",
        f"name = {quoted(first_for(found.loader).name)}",
        'precision = "f32"',
        f"batch_sizes = {list(BATCH_SIZES)}",
    ]
    return "\n".join(lines) + "\n"


def input_lines(found: Description) -> list[str]:
    """Return the [input] table, line by line."""
    geometry, channels = found.geometry, len(found.mean)
    resize = list(geometry.resize) if isinstance(geometry.resize, tuple) else geometry.resize
    return [
        "[input]",
        *([f"channels = {channels}"] if channels != RGB else []),
        f"size = {list(geometry.size)}",
        *([f"resize = {resize}"] if resize else []),
        *([f"rounding = {quoted(geometry.rounding)}"] if geometry.rounding != ROUNDINGS[0] else []),
        f"interpolation = {quoted(geometry.interpolation)}",
        f"mean = {list(found.mean)}",
        f"std = {list(found.std)}",
    ]


def _zero_shot(zero_shot: ZeroShot) -> list[str]:
    templates = ", ".join(map(quoted, zero_shot.templates))
    return ["[zero_shot]", f"language = {quoted(zero_shot.language)}", f"templates = [{templates}]", ""]


def quoted(value: str) -> str:
    """A TOML string; JSON's are the same but for DEL, which no file name or label holds on purpose."""
    return json.dumps(value, ensure_ascii=False)
