"""The committed networks of TensorFlow and PaddlePaddle are those that the scripts and the locked versions write."""

import json
import zipfile

import pytest

from tests.exporters import LIBRARIES, PROVENANCE, SIDE, archive, provenance
from tests.folders import SIZE


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_archive_was_written_by_this_script_and_the_locked_versions(library: str) -> None:
    with zipfile.ZipFile(archive(library)) as file:
        recorded = json.loads(file.read(PROVENANCE))
    assert recorded == provenance(library), "run `python -m tests.exporters`"


def test_the_images_have_the_size_of_the_tests_other_networks() -> None:
    assert SIDE == SIZE
