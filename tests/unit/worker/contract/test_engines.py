"""Engines as they are declared: each has its code, its packages and, where it needs one, a converter."""

from dataclasses import replace

import pytest

from scripts.cluster.config import ROOT
from scripts.host import environments
from scripts.host.environments import SERVE, SERVE_TORCH, WORKER, serving
from scripts.models.tools.prepare import networks
from worker.contract.declarations import BASE_IMAGE, EngineDeclaration, WorkerImage
from worker.contract.engine import EngineSpec, no_network, prepared_names
from worker.contract.engines import ENGINES, SAFE, TORCH_ENGINE, first_for, needed_by, network_files, onnxruntime
from worker.contract.loaders import LOADERS, loaders_with

ONNX_TOO = EngineDeclaration("tvm", ("onnx",), ("f32", "int8"), 150, prepared=onnxruntime.ENGINE.prepared)
every_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES.keys())


def test_torch_comes_first_and_one_engine_is_safe() -> None:
    assert list(ENGINES) == ["torch", "openvino", "onnxruntime"]
    assert [engine for engine in ENGINES.values() if engine.safe] == [SAFE] == [ENGINES["openvino"]]
    assert [engine for engine in ENGINES.values() if engine.torch] == [TORCH_ENGINE] == [ENGINES["torch"]]
    assert not SAFE.torch
    assert not SAFE.gpu


@every_engine
def test_an_engine_has_its_module_requirements_and_converter(engine: EngineDeclaration) -> None:
    assert "\ndef open_network(" in (ROOT / f"worker/engines/{engine.name}.py").read_text()
    for image in (engine.image, engine.gpu_image):
        assert f" AS {image.target}\n" in (ROOT / "worker/Dockerfile").read_text()
        assert all((WORKER / f"{name}.txt").is_file() for name in image.requirements)
    if engine.prepared:
        converter = (ROOT / f"scripts/models/tools/prepare/converters/{engine.prepared.name}.py").read_text()
        assert "\ndef convert(" in converter
        assert "\ndef quantise(" in converter


def test_kinds_of_prepared_networks_have_unique_suffixes() -> None:
    kinds = {engine.prepared for engine in ENGINES.values() if engine.prepared}
    assert len({kind.suffix for kind in kinds}) == len({kind.name for kind in kinds}) == len(kinds)


@every_engine
def test_every_format_that_an_engine_runs_has_a_loader(engine: EngineDeclaration) -> None:
    formats = {loader.format for loader in LOADERS.values()}
    assert set(engine.reads) <= formats


def test_the_first_engine_for_a_loader_needs_no_preparation() -> None:
    served = loaders_with(converted_to="")
    found = {loader: first_for(loader).name for loader in served}
    assert found == dict.fromkeys(served, "torch") | {"openvino": "openvino", "onnx": "openvino"}


def test_a_loader_that_reads_texts_needs_torch_on_every_engine() -> None:
    assert needed_by("openvino", texts=True) is TORCH_ENGINE
    assert needed_by("openvino", texts=False) is ENGINES["openvino"]


@pytest.mark.parametrize(
    ("file", "files"),
    [
        ("prepared/f32.xml", ("prepared/f32.xml", "prepared/f32.bin")),
        ("prepared/f32.onnx", ("prepared/f32.onnx", "prepared/f32.onnx.data")),
        ("weights.pth", ("weights.pth",)),
    ],
)
def test_a_prepared_network_has_its_weights_inside_or_next_to_it(file: str, files: tuple[str, ...]) -> None:
    assert network_files(file) == files


def test_an_engine_that_runs_the_networks_of_another_needs_no_converter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepared_names(), networks.possible_networks()
    monkeypatch.setitem(ENGINES, "tvm", ONNX_TOO)
    assert (prepared_names(), networks.possible_networks()) == before
    spec = EngineSpec("tvm", "f32", (1,), prepared={"onnxruntime-int8": "prepared/int8.onnx"})
    assert spec.network("timm", "tvm", "int8") == "prepared/int8.onnx"
    assert spec.network("timm", "tvm", "f32") is None
    assert spec.network("onnx", "tvm", "f32") == ""
    assert no_network("timm", "tvm", "f32") == (
        "tvm in f32 needs onnxruntime-f32 under [engine.prepared], or loader onnx, "
        'found loader "timm": prepare the model again'
    )


def test_an_engine_without_prepared_networks_names_the_loader_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "tvm", replace(ONNX_TOO, prepared=None))
    assert no_network("timm", "tvm", "f32") == 'tvm cannot run loader "timm": needs loader onnx'


def test_the_environment_follows_from_the_lists_that_an_engine_needs() -> None:
    assert serving(ONNX_TOO) == serving(SAFE) == SERVE
    assert serving(TORCH_ENGINE) == SERVE_TORCH
    own = serving(replace(ONNX_TOO, image=WorkerImage("tvm", (*BASE_IMAGE.requirements, "tvm"))))
    assert own.folder == environments.VENVS / "serve-tvm"
    assert own.locks == (*SERVE.locks, WORKER / "tvm.txt")
