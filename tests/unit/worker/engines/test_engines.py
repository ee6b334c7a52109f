"""The engines' numbers against the libraries' own few lines, on real small networks."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import folders
from worker.contract.engine import EngineSpec
from worker.contract.toml_reader import ModelError
from worker.engines import Engine, load_engine
from worker.engines.batch import fitting_size
from worker.engines.warm_up import warm_up
from worker.models.folder import ModelFolder, read_folder
from worker.models.golden import TOLERANCE
from worker.models.labels import activate
from worker.models.loaders import load_network

COLOURS = [(200, 60, 60), (60, 200, 60), (60, 60, 200), (200, 200, 40), (20, 20, 20), (240, 240, 240), (90, 10, 130)]
PIXELS = np.stack([np.asarray(folders.image(colour, (folders.SIZE, folders.SIZE))) for colour in COLOURS])
# What each precision may move a logit by; the logits of these images span more than 3.
MOVES = {"f32": 1e-4, "bf16": 0.05, "int8": 0.1}
SHAPE = (folders.SIZE, folders.SIZE, 3)


@pytest.fixture(scope="module")
def model_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("folders")
    for precision in MOVES:
        folders.openvino_folder(folder / precision, precision=precision, network=folders.small_network())
    folders.torchvision_folder(folder / "torchvision")
    folders.transformers_folder(folder / "transformers")
    folders.onnx_folder(folder / "onnx")
    threads = torch.get_num_threads()
    yield folder
    torch.set_num_threads(threads)


def with_engine(
    folder: ModelFolder, engine: str, precision: str = "f32", prepared: Mapping[str, str] | None = None
) -> ModelFolder:
    """`folder` with nothing but that engine to choose."""
    return dataclasses.replace(folder, engine=EngineSpec(engine, precision, (1, 4), prepared=prepared or {}))


def load(folder: ModelFolder, requested: str = "auto", threads: int = 1) -> Engine:
    return load_engine(folder, requested, threads)


def plain_torch(network: torch.nn.Module, pixels: np.ndarray) -> np.ndarray:
    """The logits of `pixels`, uint8 [N, H, W, 3], as a torch tutorial computes them."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (folders.MEAN, folders.STD))
    with torch.inference_mode():
        found: np.ndarray = network((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
    return found


def infer(folder: ModelFolder, pixels: np.ndarray) -> np.ndarray:
    """The engine's logits, each image in a batch of its own."""
    engine = load(folder)
    return np.concatenate([engine.infer([image]) for image in pixels])


@pytest.mark.parametrize("precision", MOVES)
def test_openvino_gives_torchs_answers(model_folders: Path, precision: str) -> None:
    folder = read_folder(model_folders / precision)
    expected = plain_torch(folders.small_network(), PIXELS)
    found = infer(folder, PIXELS)
    assert found.dtype == np.float32
    assert np.ptp(expected) > 3
    assert np.abs(found - expected).max() < MOVES[precision]
    assert np.abs(activate(found, "softmax") - activate(expected, "softmax")).max() < TOLERANCE
    assert found.argmax(1).tolist() == expected.argmax(1).tolist()


def test_a_quantised_network_is_quantised(model_folders: Path) -> None:
    assert "FakeQuantize" in (model_folders / "int8/model.xml").read_text()
    assert "FakeQuantize" not in (model_folders / "f32/model.xml").read_text()


@pytest.mark.parametrize("name", ["torchvision", "transformers"])
def test_torch_f32_gives_the_librarys_answers(model_folders: Path, name: str) -> None:
    folder = read_folder(model_folders / name)
    expected = plain_torch(load_network(folder), PIXELS)
    assert np.abs(infer(folder, PIXELS) - expected).max() < 1e-4


def test_torch_bf16_is_near_torch_f32(model_folders: Path) -> None:
    folder = read_folder(model_folders / "transformers")
    f32, bf16 = infer(folder, PIXELS), infer(with_engine(folder, "torch", "bf16"), PIXELS)
    assert 0 < np.abs(f32 - bf16).max() < 0.05
    assert np.abs(activate(f32, "softmax") - activate(bf16, "softmax")).max() < TOLERANCE


def test_onnxruntime_gives_torchs_answers_from_a_users_own_file(model_folders: Path) -> None:
    expected = plain_torch(folders.small_network(), PIXELS)
    assert (
        np.abs(infer(with_engine(read_folder(model_folders / "onnx"), "onnxruntime"), PIXELS) - expected).max() < 1e-4
    )


def test_a_prepared_network_comes_before_the_folders_own_weights(model_folders: Path) -> None:
    folder, prepared = read_folder(model_folders / "f32"), {"openvino-int8": str(model_folders / "int8/model.xml")}
    found = infer(with_engine(folder, "openvino", "int8", prepared), PIXELS)
    assert np.array_equal(found, infer(read_folder(model_folders / "int8"), PIXELS))
    assert np.array_equal(infer(with_engine(folder, "openvino", "f32", prepared), PIXELS), infer(folder, PIXELS))


ENGINES = {
    "openvino": ("f32", "openvino", "f32"),
    "openvino int8": ("int8", "openvino", "int8"),
    "onnxruntime": ("onnx", "onnxruntime", "f32"),
    "torch": ("torchvision", "torch", "f32"),
    "torch bf16": ("transformers", "torch", "bf16"),
}
every_engine = pytest.mark.parametrize("name", ENGINES)


def engine_of(model_folders: Path, name: str) -> Engine:
    folder, engine, precision = ENGINES[name]
    return load(with_engine(read_folder(model_folders / folder), engine, precision))


@every_engine
def test_an_image_gets_the_same_answer_alone_and_in_any_batch(model_folders: Path, name: str) -> None:
    engine = engine_of(model_folders, name)
    near = 0.02 if name == "torch bf16" else 1e-4
    individually = np.concatenate([engine.infer([image]) for image in PIXELS[:4]])
    for count in (2, 3, 4):
        found = engine.infer(PIXELS[:count])
        assert found.shape == individually[:count].shape
        assert np.abs(found - individually[:count]).max() < near


@every_engine
def test_an_answer_is_not_overwritten_by_the_next_one(model_folders: Path, name: str) -> None:
    engine = engine_of(model_folders, name)
    first = engine.infer(PIXELS[:1])
    copy = first.copy()
    engine.infer(PIXELS[1:2])
    assert np.array_equal(first, copy)
    assert first.dtype == np.float32


@every_engine
def test_an_image_may_be_read_only_as_decoders_give_it(model_folders: Path, name: str) -> None:
    engine, image = engine_of(model_folders, name), PIXELS[0].copy()
    image.flags.writeable = False
    assert np.array_equal(engine.infer([image]), engine.infer(PIXELS[:1]))


@every_engine
def test_more_images_than_the_largest_batch_are_refused(model_folders: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"^5 images at once, the engine was prepared for 1, 4$"):
        engine_of(model_folders, name).infer(PIXELS[:5])


def test_the_smallest_batch_that_holds_them_is_used() -> None:
    assert [fitting_size([8, 1, 4], PIXELS[:count]) for count in (1, 2, 4, 5, 7)] == [1, 4, 4, 8, 8]


@every_engine
def test_warm_up_runs_every_size_and_measures_them_if_timed(model_folders: Path, name: str) -> None:
    engine = engine_of(model_folders, name)
    assert warm_up(engine.infer, engine.batch_sizes, SHAPE, timed=False) == {1: 1.0, 4: 4.0}
    assert min(warm_up(engine.infer, engine.batch_sizes, SHAPE, timed=True).values()) > 0


def test_an_engine_gives_its_name_precision_and_reason(model_folders: Path) -> None:
    engine = load(read_folder(model_folders / "int8"))
    assert (engine.name, engine.precision, engine.batch_sizes) == ("openvino", "int8", (1, 4))
    assert engine.choice.reason.startswith("the safe choice: nothing was measured on this kind of machine, ")


def test_an_engine_requested_by_name_overrides_the_folders(model_folders: Path) -> None:
    engine = load(read_folder(model_folders / "onnx"), "onnxruntime")
    assert (engine.name, engine.precision) == ("onnxruntime", "f32")
    assert engine.choice.reason.startswith(
        "engine onnxruntime was requested; in f32: nothing was measured on this kind "
    )


def test_torch_uses_the_slots_number_of_threads(model_folders: Path) -> None:
    load(read_folder(model_folders / "torchvision"), threads=2)
    assert torch.get_num_threads() == 2


def test_only_int8_networks_are_cached(model_folders: Path, tmp_path: Path) -> None:
    for name in ("f32", "int8"):
        cache = tmp_path / name
        first = load_engine(read_folder(model_folders / name), "auto", 1, cache=str(cache)).infer(PIXELS[:4])
        assert len(list(cache.rglob("*.blob"))) == (2 if name == "int8" else 0)
        assert np.array_equal(
            load_engine(read_folder(model_folders / name), "auto", 1, cache=str(cache)).infer(PIXELS[:4]), first
        )


@pytest.mark.parametrize("damage", [b"", b"\0" * 5000])
def test_a_damaged_cache_is_rebuilt(model_folders: Path, tmp_path: Path, damage: bytes) -> None:
    def answers() -> np.ndarray:
        return load_engine(read_folder(model_folders / "int8"), "auto", 1, cache=str(tmp_path)).infer(PIXELS[:4])

    expected = answers()
    for blob in tmp_path.rglob("*.blob"):
        blob.chmod(0o600)
        blob.write_bytes(damage)
    assert np.array_equal(answers(), expected)
    assert all(blob.read_bytes() != damage for blob in tmp_path.rglob("*.blob"))


def test_what_was_cached_of_other_model_files_is_removed(model_folders: Path, tmp_path: Path) -> None:
    former, texts = tmp_path / "compiled/0123456789ab-2024.0", tmp_path / "texts"
    for folder in (former, texts):
        folder.mkdir(parents=True)
        (folder / "kept.blob").touch()
    load_engine(read_folder(model_folders / "int8"), "auto", 1, cache=str(tmp_path))
    assert not former.exists()
    assert [path.parent.name for path in tmp_path.rglob("kept.blob")] == ["texts"]


@pytest.mark.parametrize("place", ["file/cache", "/proc/cache"])
def test_the_engine_starts_even_if_it_cannot_cache(
    model_folders: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    (tmp_path / "file").touch()
    engine = load_engine(read_folder(model_folders / "int8"), "auto", 1, cache=str(tmp_path / place))
    assert engine.infer(PIXELS[:1]).shape == (1, 3)
    assert caplog.messages[0].startswith("cannot cache compiled networks: ")


@pytest.mark.parametrize(("engine", "readable"), [("openvino", "openvino or onnx"), ("onnxruntime", "onnx")])
def test_an_engine_cannot_run_what_was_not_prepared_for_it(model_folders: Path, engine: str, readable: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(read_folder(model_folders / "torchvision"), engine)
    assert str(caught.value) == (
        f"{model_folders / 'torchvision'}: {engine} in f32 needs {engine}-f32 under [engine.prepared], "
        f'or loader {readable}, found loader "torchvision": prepare the model again'
    )


def test_torch_cannot_run_a_prepared_openvino_network(model_folders: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(read_folder(model_folders / "f32"), "torch")
    assert str(caught.value).startswith(
        f"{model_folders / 'f32'}: engine torch cannot run loader 'openvino'; it runs checkpoint, "
    )


def test_torch_runs_fp16_only_on_a_gpu(model_folders: Path) -> None:
    with pytest.raises(ModelError) as caught:
        load(with_engine(read_folder(model_folders / "torchvision"), "torch", "fp16"))
    assert str(caught.value) == "engine torch runs fp16 only on a GPU; prepare the model on this kind of machine"


@pytest.mark.parametrize("data", [b"", b"nothing like a network", b"\x08\x08" * 50])
def test_a_file_that_is_no_onnx_network_is_refused(model_folders: Path, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "m.onnx"
    file.write_bytes(data)
    folder = with_engine(
        read_folder(model_folders / "torchvision"), "onnxruntime", prepared={"onnxruntime-f32": str(file)}
    )
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert re.fullmatch(
        re.escape(f"{file}: not a network that ONNX Runtime can read: ") + "[^\n]+; copy it again", str(caught.value)
    )
