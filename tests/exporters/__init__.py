"""Networks in the formats of TensorFlow, Keras and PaddlePaddle, each written by its own library.

Those libraries are in an environment of their own (scripts.host.environments.EXPORTERS), in which the two scripts of
this folder run; this module starts them.
"""

import subprocess
from pathlib import Path

import numpy as np

from scripts.host.environments import EXPORTERS, ensure
from tests.cached_folders import cached

HERE = Path(__file__).parent
PIXELS, ANSWERS = "pixels.npy", "answers.npz"


@cached
def exported_files(path: Path, library: str, side: int, seed: int = 5) -> Path:
    """Write networks for images of `side` x `side` pixels with `library`, tensorflow or paddle, into `path`.

    PIXELS are uint8 [4, side, side, 3]; ANSWERS has the library's own scores [4, 3] for them, by file.
    """
    path.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 60, (4, side, side, 3)) + rng.uniform(40, 215, (4, 1, 1, 3))
    np.save(path / PIXELS, np.clip(noise, 0, 255).astype(np.uint8))
    python = ensure(EXPORTERS, nvidia=False)
    result = subprocess.run([python, HERE / f"write_{library}.py", path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]
    return path
