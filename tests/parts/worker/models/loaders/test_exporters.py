"""Networks that TensorFlow, Keras and PaddlePaddle write: each is added, and answers as its own library does."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from scripts.models.tools import add
from scripts.models.tools.answers import open_engine
from tests.exporters import ANSWERS, PIXELS, exported_files
from tests.folders import SIZE
from tests.options import model_add
from worker.contract.toml_reader import ModelError
from worker.engines import load_engine
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.labels import activate

Capture = pytest.CaptureFixture[str]
EXACT, QUANTISED = 1e-5, 0.01  # of a score; OpenVINO rounds the steps of a quantised network at other places
BYTES, SIGNED = ((0.0,) * 3, (1 / 255,) * 3), ((128 / 255,) * 3, (1 / 255,) * 3)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
TENSORFLOW = {
    "saved_model": (EXACT, BYTES), "exported": (EXACT, BYTES), "exported/saved_model.pb": (EXACT, BYTES),
    "frozen.pb": (EXACT, BYTES), "nhwc.onnx": (EXACT, BYTES), "float.tflite": (EXACT, IMAGENET),
    "half.tflite": (EXACT, IMAGENET), "uint8.tflite": (QUANTISED, BYTES), "int8.tflite": (QUANTISED, SIGNED),
    "float-outside.tflite": (QUANTISED, BYTES),
}  # fmt: skip


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_files(tmp_path_factory.mktemp("tensorflow"), "tensorflow")


@pytest.fixture(scope="module")
def paddle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_files(tmp_path_factory.mktemp("paddle"), "paddle")


def added(source: Path, out: Path, labelled: bool = True) -> ModelFolder:
    """Return the model folder that model-add makes of `source`; `labelled` gives it a file of labels."""
    out.mkdir()
    labels = out.with_suffix(".txt")
    labels.write_text("cat\ndog\ntea\n")
    options = ("--labels", f"en:{labels}") if labelled else ()
    add.add(out, model_add("--name", "small", "--source", str(source), *options))
    folder = read_folder(out)
    verify_files(folder)
    return folder


def scores(folder: ModelFolder, pixels: np.ndarray, engine: str = "auto") -> np.ndarray:
    """Return the scores of `pixels`, one alone and the others in a batch."""
    runner = load_engine(folder, engine, threads=1)
    logits = np.concatenate([runner.infer(pixels[:1]), runner.infer(pixels[1:])])
    return folder.output.scores(logits)


@pytest.mark.parametrize("name", TENSORFLOW)
def test_tensorflows_formats_answer_as_tensorflow_does(name: str, tensorflow: Path, tmp_path: Path) -> None:
    close, normalisation = TENSORFLOW[name]
    folder = added(tensorflow / name, tmp_path / "added")
    assert (folder.input.mean, folder.input.std) == normalisation
    assert folder.output.activation == "none"  # a softmax is part of the network
    assert folder.loader == ("onnx" if name.endswith(".onnx") else "openvino")
    expected = np.load(tensorflow / ANSWERS)[name.partition("/")[0]]
    pixels = np.load(tensorflow / PIXELS)
    engines = ("openvino", "onnxruntime") if folder.loader == "onnx" else ("openvino",)
    for engine in engines:
        assert scores(folder, pixels, engine) == pytest.approx(expected, abs=close)


def test_a_network_of_keras_without_its_softmax_gets_one(tensorflow: Path, tmp_path: Path) -> None:
    folder = added(tensorflow / "logits", tmp_path / "added")
    assert folder.output.activation == "softmax"
    powers = np.exp(np.load(tensorflow / ANSWERS)["logits"])
    expected = powers / powers.sum(1, keepdims=True)
    assert scores(folder, np.load(tensorflow / PIXELS)) == pytest.approx(expected, abs=EXACT)


def test_a_grey_network_of_keras_takes_grey_images(tensorflow: Path, tmp_path: Path) -> None:
    folder = added(tensorflow / "grey.onnx", tmp_path / "added")
    assert folder.input.shape == (SIZE, SIZE, 1)
    expected, pixels = np.load(tensorflow / ANSWERS)["grey.onnx"], np.load(tensorflow / PIXELS)[..., :1]
    for engine in ("openvino", "onnxruntime"):
        assert scores(folder, pixels, engine) == pytest.approx(expected, abs=EXACT)


@pytest.mark.parametrize(
    "name", ["pdmodel", "pdmodel/inference.pdmodel", "pir", "pir/inference.json", "pir/inference.pdiparams"]
)
def test_both_formats_of_paddlepaddle_answer_as_paddlepaddle_does(name: str, paddle: Path, tmp_path: Path) -> None:
    folder = added(paddle / name, tmp_path / "added", labelled=False)
    assert folder.output.labels.names == {"en": ("cat", "dog", "tea")}  # of inference.yml beside the network
    geometry = folder.input.geometry
    assert (geometry.size, geometry.resize, geometry.interpolation) == ((SIZE, SIZE), SIZE + 4, "bilinear")
    assert (folder.input.mean, folder.input.std) == IMAGENET
    expected = np.load(paddle / ANSWERS)[name.partition("/")[0]]
    if name == "transformer":  # without a softmax of its own
        assert folder.output.activation == "softmax"
        expected = activate(expected, "softmax")
    assert scores(folder, np.load(paddle / PIXELS)) == pytest.approx(expected, abs=EXACT)


def test_the_converted_network_is_kept_in_the_folder(tensorflow: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = added(tensorflow / "uint8.tflite", tmp_path / "added")
    assert {"model.xml", "model.bin"} <= folder.files.keys()
    assert not list(folder.path.glob("*.tflite"))
    assert "   converted from uint8.tflite to model.xml" in capsys.readouterr().out.splitlines()
    assert open_engine(folder).name == "openvino"


def test_labels_inside_a_file_of_tensorflow_lite_are_read(tensorflow: Path, tmp_path: Path) -> None:
    path = tmp_path / "with-metadata.tflite"
    shutil.copy(tensorflow / "uint8.tflite", path)
    with zipfile.ZipFile(path, "a") as archive:  # as TensorFlow Lite's metadata writer packs them
        archive.writestr("labels.txt", "cup\npot\npan\n")
    folder = added(path, tmp_path / "added", labelled=False)
    assert folder.output.labels.names == {"en": ("cup", "pot", "pan")}


REFUSED = {
    "model.keras": "a model of Keras",
    "model.h5": "a model of Keras",
    "weights.pdparams": "the weights of PaddlePaddle without their network",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_libraries_save_for_themselves_is_refused_with_how_to_export_it(
    name: str, tensorflow: Path, paddle: Path, tmp_path: Path
) -> None:
    source = next(folder / name for folder in (tensorflow, paddle) if (folder / name).is_file())
    with pytest.raises(ModelError) as error:
        added(source, tmp_path / "added")
    assert f"{source}: {REFUSED[name]}, which no loader reads: " in str(error.value)


def test_a_network_of_paddlepaddle_without_its_weights_is_refused(paddle: Path, tmp_path: Path) -> None:
    shutil.copy(paddle / "pdmodel/inference.pdmodel", tmp_path)
    with pytest.raises(ModelError, match=r"inference\.pdiparams: not found; inference\.pdmodel needs it"):
        added(tmp_path / "inference.pdmodel", tmp_path / "added")


def test_an_operation_that_is_not_translated_is_named(paddle: Path, tmp_path: Path) -> None:
    shutil.copytree(paddle / "pir", tmp_path / "pir")
    graph = tmp_path / "pir/inference.json"
    graph.write_text(graph.read_text().replace("1.hardswish", "1.fft_c2c"))
    with pytest.raises(
        ModelError, match=r"inference\.json: has operations that are not read here, fft_c2c: export it to"
    ):
        added(tmp_path / "pir", tmp_path / "added", labelled=False)
    graph.write_text("{}")
    with pytest.raises(ModelError, match=r"inference\.json: not a network of PaddlePaddle that can be read: "):
        added(tmp_path / "pir", tmp_path / "added2", labelled=False)
