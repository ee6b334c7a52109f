"""Kinds of files that no loader reads: each is named, with how to export its network."""

import json
import zipfile
from pathlib import Path

import pytest

from worker.contract.toml_reader import ModelError
from worker.models.loaders import describe, detect
from worker.models.loaders.refused import REFUSED


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        describe(path)
    return str(error.value).replace(str(path.parent), "F")


@pytest.mark.parametrize("suffix", REFUSED)
def test_a_file_is_refused_with_what_it_is_and_what_to_do(suffix: str, tmp_path: Path) -> None:
    what, remedy = REFUSED[suffix]
    (tmp_path / f"net{suffix}").touch()
    assert refusal(tmp_path / f"net{suffix}") == f"F/net{suffix}: {what}, which no loader reads: {remedy}"
    (tmp_path / "folder").mkdir()
    (tmp_path / f"folder/net{suffix}").touch()
    assert refusal(tmp_path / "folder") == f"F/folder/net{suffix}: {what}, which no loader reads: {remedy}"


def test_no_refused_kind_has_a_loader() -> None:
    assert not {*REFUSED} & {*detect.suffixes()}


def test_an_upper_case_suffix_and_a_package_folder_are_known(tmp_path: Path) -> None:
    (tmp_path / "NET.H5").touch()
    assert refusal(tmp_path / "NET.H5").startswith("F/NET.H5: a model of Keras, which no loader reads: ")
    (tmp_path / "net.mlpackage/Data").mkdir(parents=True)
    assert refusal(tmp_path / "net.mlpackage").startswith("F/net.mlpackage: a model of Core ML, which no loader reads")


def test_an_archive_is_refused_with_the_models_inside(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("README.md", "")
        archive.writestr("export/model.onnx", "")
        archive.writestr("export/model.keras", "")
    assert refusal(tmp_path / "export.zip") == (
        "F/export.zip: an archive with export/model.onnx, export/model.keras, which no loader reads: "
        "unpack it with unzip, and set SOURCE= to the model inside"
    )
    (tmp_path / "cut.zip").write_bytes((tmp_path / "export.zip").read_bytes()[:50])
    assert refusal(tmp_path / "cut.zip") == "F/cut.zip: a damaged archive, which no loader reads: copy it again"


def test_a_network_of_tensorflow_js_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"format": "graph-model", "weightsManifest": []}))
    assert refusal(tmp_path / "model.json") == (
        "F/model.json: a network of TensorFlow.js, which no loader reads: "
        "set SOURCE= to the Keras or SavedModel that it was made from"
    )
