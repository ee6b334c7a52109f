"""model.toml as text, from what was found out of a model. Pure."""

import json
from collections.abc import Iterable, Mapping

from worker.models.folder import PREPARED
from worker.models.loaders import Description
from worker.models.loaders.guess import NETWORK_CODE
from worker.models.output import Golden

BATCH_SIZES = (1, 4)


def labels_file(language: str) -> str:
    return f"labels.{language}.txt"


def model_toml(
    name: str,
    found: Description,
    digests: Mapping[str, str],
    languages: Iterable[str],
    golden: Golden,
) -> str:
    """The text of model.toml, which trusts the code that comes with the model, if any.

    `digests` are the sha256 of all files by path; `golden.image` is relative too.
    """
    geometry = found.geometry
    lines = [
        f"name = {_text(name)}",
        'version = "1"',
        f"loader = {_text(found.loader)}",
        *([f"architecture = {_text(found.architecture)}"] if found.architecture else []),
        f"weights = {_text(found.weights)}",
        *(["trust_code = true"] if NETWORK_CODE in found.files else []),
        "",
        "[files]",
        *(f"{_text(path)} = {_text(digest)}" for path, digest in digests.items()),
        "",
        "[input]",
        f"size = {list(geometry.size)}",
        *([f"resize = {geometry.resize}"] if geometry.resize else []),
        f"interpolation = {_text(geometry.interpolation)}",
        f"mean = {list(found.mean)}",
        f"std = {list(found.std)}",
        "",
        "[output]",
        f"activation = {_text(found.activation)}",
        "[output.labels]",
        *(f"{language} = {_text(labels_file(language))}" for language in languages),
        "",
        "[[golden]]",
        f"image = {_text(str(golden.image))}",
        f"index = {golden.index}",
        f"label = {_text(golden.label)}",
        f"score = {golden.score:.4f}",
        "",
        "[engine]",
        f"name = {_text('openvino' if found.loader in PREPARED else 'torch')}",
        'precision = "f32"',
        f"batch_sizes = {list(BATCH_SIZES)}",
    ]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML string; JSON's are the same but for DEL, which no file name or label holds on purpose."""
    return json.dumps(value, ensure_ascii=False)
