"""Select the files of a repository that serving needs, by name: settings, and the weights in one format. Pure."""

import re
from collections.abc import Sequence
from fnmatch import fnmatch

from scripts.models.tools.sources import FetchError
from worker.contract.loaders import LOADERS, zero_shot
from worker.contract.loaders.zero_shot import OPEN_CLIP_CONFIG
from worker.contract.model_files import PREPROCESSOR
from worker.contract.toml_reader import abbreviate
from worker.models.loaders.detect import suffixes

SETTINGS = tuple(dict.fromkeys(pattern for loader in LOADERS.values() for pattern in loader.settings))
# The first format that exists is fetched, in the loaders' precedence; each of them names safetensors before pickles.
WEIGHTS = tuple(dict.fromkeys(pattern for loader in LOADERS.values() for pattern in loader.weights))
# A repository may hold a model for OpenCLIP and for another library: weights and settings must be of the same library.
OPEN_CLIP = zero_shot.LOADER.weights


def needed_files(source: str, paths: Sequence[str], loader: str = "") -> list[str]:
    """Return which of the `paths` of `source` to fetch, sorted; raise FetchError if none holds weights."""
    top = [path for path in paths if "/" not in path]
    if loader or PREPROCESSOR in top or OPEN_CLIP_CONFIG not in top:
        top = [path for path in top if path != OPEN_CLIP_CONFIG]
        weights = _weights(paths, [form for form in WEIGHTS if form not in OPEN_CLIP])
    else:
        weights = _weights(paths, WEIGHTS)
    if not weights:
        raise FetchError(
            f"{source}: found {abbreviate(sorted(top)) or 'nothing'}, needed weights such as model.safetensors: "
            "choose a repository that a loader can read"
        )
    return sorted({path for path in top if any(fnmatch(path, pattern) for pattern in SETTINGS)} | set(weights))


def _weights(paths: Sequence[str], formats: Sequence[str]) -> list[str]:
    for pattern in formats:
        if found := [path for path in paths if re.fullmatch(pattern, path)]:
            return found
    single = [path for path in paths if "/" not in path and path.endswith(suffixes())]
    return single if len(single) == 1 else []
