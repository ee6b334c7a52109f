"""State dicts: read without running anything, unwrapped, and filled in strictly."""

import pickle
import subprocess
from pathlib import Path

import pytest

from tests.unit.worker.models.loaders.model_errors import PickledCommand, model_error
from tests.unit.worker.models.loaders.test_state_dict import read


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_with_code_in_it_is_refused_and_nothing_is_run(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(pickle.dumps({"a": PickledCommand(tmp_path / "ran")}, protocol))
    assert "contains code and was not loaded: posix.system;" in model_error(tmp_path, lambda: read(path))
    assert not (tmp_path / "ran").exists()
    subprocess.run(["python3", "-c", f"import pickle; pickle.load(open({str(path)!r}, 'rb'))"], check=True)
    assert (tmp_path / "ran").exists()  # so the file was a real danger
