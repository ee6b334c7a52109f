"""Which files of a repository serving needs, told by their names: settings, and the weights in one form. Pure."""

import re
from collections.abc import Sequence
from fnmatch import fnmatch

from scripts.models.tools.sources import FetchError
from worker.contract.fields import some
from worker.models.loaders.guess import MODELSCOPE_WEIGHTS, OPEN_CLIP_CONFIG, STATE_DICTS, SUFFIXES

PREPROCESSOR = "preprocessor_config.json"
SETTINGS = (
    "config.json", PREPROCESSOR, "processor_config.json", "configuration.json", OPEN_CLIP_CONFIG,
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "*.model",  # sentencepiece's
    "meta_info.txt", "*label*.txt",
)  # fmt: skip
# The first form that is there is taken: what a loader reads before what it reads for want of that, and in each case
# safetensors before pickles.
WEIGHTS = (
    r"model\.safetensors",
    r"model(\.safetensors\.index\.json|-\d{5}-of-\d{5}\.safetensors)",
    r"pytorch_model\.bin",
    r"pytorch_model(\.bin\.index\.json|-\d{5}-of-\d{5}\.bin)",
    re.escape(MODELSCOPE_WEIGHTS),
    r"(pytorch_)?model\.pth",
    r"openvino_model\.(xml|bin)",
    r"model\.onnx([._]data)?",
)
# A repository may hold a model twice, as OpenCLIP's and as another library's: its settings must be of the same one.
OPEN_CLIP = (r"open_clip_(pytorch_)?model\.safetensors", r"open_clip_pytorch_model\.bin")


def needed(source: str, paths: Sequence[str], loader: str = "") -> list[str]:
    """Those of the `paths` of `source` to fetch, sorted; raises FetchError when none holds weights for a loader."""
    top = [path for path in paths if "/" not in path]
    if loader or PREPROCESSOR in top or OPEN_CLIP_CONFIG not in top:
        top = [path for path in top if path != OPEN_CLIP_CONFIG]
        weights = _weights(top, WEIGHTS)
    else:
        weights = _weights(top, OPEN_CLIP + WEIGHTS)
    if not weights:
        raise FetchError(
            f"{source}: found {some(sorted(top)) or 'nothing'}, needed weights such as model.safetensors: "
            "choose a repository that a loader can read"
        )
    return sorted({path for path in top if any(fnmatch(path, pattern) for pattern in SETTINGS)} | set(weights))


def _weights(paths: Sequence[str], forms: Sequence[str]) -> list[str]:
    for form in forms:
        if found := [path for path in paths if re.fullmatch(form, path)]:
            return found
    single = [path for path in paths if path.endswith((*STATE_DICTS, *SUFFIXES))]
    return single if len(single) == 1 else []
