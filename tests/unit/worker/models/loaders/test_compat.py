"""The private parts of torch and numpy that the loaders rest on: a version without them fails here first."""

import pickle
from pathlib import Path

import numpy as np
import torch

from worker.models.loaders.compat import NUMPY_RECONSTRUCT, NUMPY_SCALAR, open_pt2, weights_only_globals


def test_numpy_pickles_scalars_and_arrays_by_these_functions() -> None:
    assert np.float32(1.5).__reduce__()[0] is NUMPY_SCALAR
    assert np.arange(3).__reduce__()[0] is NUMPY_RECONSTRUCT
    assert pickle.loads(pickle.dumps(np.arange(3))).tolist() == [0, 1, 2]  # noqa: S301 - our own


def test_torch_allows_tensors_and_no_code() -> None:
    allowed = weights_only_globals()
    assert {"torch._utils._rebuild_tensor_v2", "collections.OrderedDict", "torch.FloatStorage"} <= allowed
    assert not allowed & {"os.system", "posix.system", "builtins.eval", "builtins.exec"}


def test_an_exported_archive_lists_and_reads_its_files(tmp_path: Path) -> None:
    file = tmp_path / "a.pt2"
    torch.export.save(torch.export.export(torch.nn.Linear(2, 1), (torch.zeros(1, 2),)), file)
    archive = open_pt2(file)
    assert "models/model.json" in archive.get_file_names()
    assert archive.read_string("models/model.json").startswith("{")
