from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster import models
from scripts.cluster.config import ROOT, Cluster, load_cluster, parse_cluster
from scripts.cluster.models import ModelInfo, read_models
from scripts.models.tools import rewrite
from worker.contract.engines import ENGINES
from worker.contract.machine import machine_kind

GOOD = """loader = "timm"
[files]
"prepared/f32.xml" = ""
"prepared/f32.onnx" = ""
[[golden]]
image = "golden/a.jpg"
[[golden]]
image = "golden/b.jpg"
[engine]
name = "torch"
precision = "f32"
batch_sizes = [1]
"""
MEASURED = """[engine.prepared]
openvino-f32 = "prepared/f32.xml"
onnxruntime-f32 = "prepared/f32.onnx"
""" + "".join(
    f"""[[engine.measured]]
machine = "{machine}"
engine = "{engine}"
precision = "{precision}"
batch_sizes = [1]
images_per_s = 9
agreement = 1
difference = 0
chosen = true
"""
    for machine, engine, precision in (
        (machine_kind(), "openvino", "bf16"), ("NVIDIA H200", "torch", "fp16"), ("NVIDIA T4", "onnxruntime", "f32")
    )
)  # fmt: skip


def folder(path: Path, text: str | bytes = GOOD) -> Path:
    (path / "golden").mkdir(parents=True)
    (path / "model.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    (path / "golden/a.jpg").write_bytes(b"1234")
    (path / "prepared").mkdir()
    for name, size in {"f32.xml": 10, "f32.bin": 200, "f32.onnx": 3000, "f32.onnx.data": 40_000}.items():
        (path / "prepared" / name).write_bytes(b"x" * size)
    return path


def cluster_of(*folders: Path, engine: str = "auto") -> Cluster:
    models = "".join(f'[[models]]\nname = "m{index}"\nfolder = "{path}"\n' for index, path in enumerate(folders))
    return parse_cluster(f'engine = "{engine}"\n{models}', "c.toml")


def error_lines(*folders: Path) -> list[str]:
    with pytest.raises(CommandError) as error:
        read_models(cluster_of(*folders))
    return list(error.value.lines)


def test_a_model_has_its_engine_first_golden_image_and_total_size(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")
    (path / "weights").write_bytes(b"x" * 1000)
    assert read_models(cluster_of(path)) == {"m0": ModelInfo("torch", path / "golden/a.jpg", 1004 + len(GOOD))}


@pytest.mark.parametrize(
    ("machines", "engine", "size"),
    [
        ((), "openvino", 210),
        (("NVIDIA T4",), "onnxruntime", 43_000),
        (("NVIDIA H200",), "torch", 4 + len(GOOD + MEASURED)),
        (("NVIDIA T4", machine_kind()), "onnxruntime", 43_000),
        ((machine_kind(), "NVIDIA H200"), "torch", 4 + len(GOOD + MEASURED)),
        (("NVIDIA T5",), "torch", 4 + len(GOOD + MEASURED)),
    ],
)
def test_engine_and_size_depend_on_the_machine_kinds(
    tmp_path: Path, machines: tuple[str, ...], engine: str, size: int
) -> None:
    path = folder(tmp_path / "m", GOOD + MEASURED)
    assert read_models(cluster_of(path), machines) == {"m0": ModelInfo(engine, path / "golden/a.jpg", size)}


def test_a_model_that_reads_texts_needs_torch_and_all_its_weights(tmp_path: Path) -> None:
    text = (GOOD + MEASURED).replace('loader = "timm"', 'loader = "zero_shot"')
    path = folder(tmp_path / "m", text)
    (found,) = read_models(cluster_of(path)).values()
    assert (found.engine, found.texts, found.needs.torch) == ("openvino", True, True)
    assert found.bytes == 210 + 4 + len(text)
    assert not ModelInfo("openvino", path, 1).needs.torch
    assert ModelInfo("torch", path, 1).needs.torch


def test_the_folder_of_prepared_networks_is_the_tools() -> None:
    assert models.PREPARED_FOLDER == rewrite.PREPARED_FOLDER


def test_the_clusters_engine_overrides_the_folders(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")
    assert read_models(cluster_of(path, engine="openvino"))["m0"].engine == "openvino"


def test_the_committed_cluster_has_its_model() -> None:
    served = read_models(load_cluster(ROOT / "compose/cluster.toml"))
    assert served["photos"].engine == "openvino"
    assert served["photos"].golden.is_file()
    assert served["photos"].bytes < 7_000_000


def test_the_faults_of_all_folders_are_reported_at_once(tmp_path: Path) -> None:
    good, missing = folder(tmp_path / "good"), tmp_path / "missing"
    unknown = folder(tmp_path / "unknown", GOOD.replace("torch", "tensorflow"))
    assert error_lines(missing, good, unknown) == [
        f"c.toml: models/0/folder: {missing}: no such folder: name an existing one; is the models volume mounted?",
        f"c.toml: models/2/folder: {unknown}/model.toml: engine/name: needs one of {', '.join(ENGINES)}, "
        "found 'tensorflow'",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "KeyError('loader')"),
        ('loader = "timm"\nengine = "torch"\n', "ValueError("),
        (GOOD.replace("[files]", "[other]"), "KeyError('files')"),
        (GOOD.replace("[[golden]]", "[[other]]"), "KeyError('golden')"),
        ("golden = []\n" + GOOD.replace("[[golden]]", "[[other]]"), "IndexError("),
        (GOOD.replace('"golden/a.jpg"', "7"), "TypeError("),
    ],
)
def test_an_unreadable_model_toml_is_rejected_with_the_reason(tmp_path: Path, text: str | bytes, reason: str) -> None:
    path = folder(tmp_path / "m", text)
    (line,) = error_lines(path)
    assert line.startswith(f"c.toml: models/0/folder: {path}/model.toml: cannot be read as a model folder: {reason}")


def test_an_invalid_toml_file_is_rejected_with_its_position(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", "# one\n[engine")
    assert error_lines(path) == [
        f"c.toml: models/0/folder: {path}/model.toml: not valid TOML: "
        "Expected ']' at the end of a table declaration (at end of document): correct it there"
    ]
    path = folder(tmp_path / "n", b"\xff")
    assert error_lines(path) == [
        f"c.toml: models/0/folder: {path}/model.toml: byte 0 is not UTF-8: save the file as UTF-8"
    ]


def test_an_empty_folder_has_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    assert error_lines(tmp_path / "m") == [
        f"c.toml: models/0/folder: {tmp_path}/m: found an empty folder, needed a model folder: "
        "copy one there, or mount the models volume"
    ]


def test_a_file_in_place_of_a_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("")
    assert error_lines(tmp_path / "m") == [
        f"c.toml: models/0/folder: {tmp_path}/m/model.toml: Not a directory: needed a model folder with a model.toml"
    ]
