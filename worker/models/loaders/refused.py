"""Say of a kind of file that no loader reads how to export its network instead."""

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

from worker.contract.toml_reader import ModelError, abbreviate

ONNX_AGAIN = "set SOURCE= to the .onnx or the weights that it was made from"
# By suffix: what the file is, and what to do instead.
REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(
        (".keras", ".h5", ".hdf5"),
        ("a model of Keras", 'in Python, keras.models.load_model(FILE).export("exported"), then set SOURCE=exported'),
    ),
    **dict.fromkeys(
        (".mlmodel", ".mlpackage"),
        ("a model of Core ML", "export it to ONNX from the library that trained it, such as torch.onnx.export"),
    ),
    **dict.fromkeys(
        (".engine", ".plan", ".trt"),
        ("an engine of TensorRT, which runs only on the GPU that it was built for", ONNX_AGAIN),
    ),
    ".mar": ("an archive of TorchServe", "unpack it with unzip, and set SOURCE= to the weights inside"),
    ".pdparams": (
        "the weights of PaddlePaddle without their network",
        "export both with paddle.jit.save(paddle.jit.to_static(net, input_spec=[...]), 'inference')",
    ),
    ".pdopt": ("an optimiser's state of PaddlePaddle", "set SOURCE= to the .pdmodel that paddle.jit.save writes"),
    ".pdiparams": (
        "the weights of a network of PaddlePaddle",
        "copy the .pdmodel or .json that was saved with them to the same folder",
    ),
    **dict.fromkeys(
        (".caffemodel", ".prototxt"), ("a network of Caffe", "convert it to ONNX, such as with caffe2onnx")
    ),
    **dict.fromkeys((".param", ".ncnn"), ("a network of ncnn", ONNX_AGAIN)),
    ".mnn": ("a network of MNN", ONNX_AGAIN),
    ".rknn": ("a network for Rockchip's NPUs", ONNX_AGAIN),
    ".om": ("a network for Ascend's NPUs", ONNX_AGAIN),
    ".bmodel": ("a network for Sophgo's TPUs", ONNX_AGAIN),
    ".kmodel": ("a network for Kendryte's NPUs", ONNX_AGAIN),
    ".axmodel": ("a network for Axera's NPUs", ONNX_AGAIN),
    ".hef": ("a network for Hailo's NPUs", ONNX_AGAIN),
    ".dlc": ("a network of Qualcomm's SNPE", ONNX_AGAIN),
    ".blob": ("a network compiled for one device", ONNX_AGAIN),
    ".nb": ("a network of Paddle Lite", "set SOURCE= to the .pdmodel that it was made from"),
    ".tmfile": ("a network of Tengine", ONNX_AGAIN),
    ".ort": ("a network in ONNX Runtime's own format", "set SOURCE= to the .onnx that it was made from"),
    ".gguf": ("a file of llama.cpp, which is no image classifier", "fetch the model's safetensors instead"),
    ".params": ("the weights of an MXNet network", "export both to ONNX with mx.onnx.export_model"),
    ".mindir": ("a network of MindSpore", 'export it with mindspore.export(net, ..., file_format="ONNX")'),
    ".msgpack": ("the weights of a Flax network", "save it with save_pretrained of the PyTorch class, from_flax=True"),
    **dict.fromkeys(
        (".index", ".meta"),
        ("a checkpoint of TensorFlow", 'save the network with tf.saved_model.save(model, "exported")'),
    ),
    ".pbtxt": ("a network of TensorFlow as text", 'save it with tf.saved_model.save(model, "exported")'),
    ".tfrecord": ("a data set of TensorFlow", "set SOURCE= to a model"),
    ".rar": ("an archive", "unpack it, and set SOURCE= to the model inside"),
    ".7z": ("an archive", "unpack it, and set SOURCE= to the model inside"),
    ".gz": ("an archive", "unpack it with `tar xf`, and set SOURCE= to the model inside"),
    ".tgz": ("an archive", "unpack it with `tar xf`, and set SOURCE= to the model inside"),
}
TENSORFLOW_JS = (
    "a network of TensorFlow.js",
    "set SOURCE= to the Keras or SavedModel that it was made from",
)


def refuse(path: Path, known: Iterable[str]) -> None:
    """Raise ModelError if `path`, a file or a folder, is of a kind that is refused; `known` are suffixes with loaders.

    The message says what it is and how to export it.
    """
    found = [path] if path.suffix in REFUSED or path.is_file() else sorted(path.iterdir())
    for file in found:
        if kind := _kind(file, tuple(known)):
            what, remedy = kind
            raise ModelError(f"{file}: {what}, which no loader reads: {remedy}")


def _kind(file: Path, known: tuple[str, ...]) -> tuple[str, str] | None:
    suffix = file.suffix.lower()
    if suffix in REFUSED:
        return REFUSED[suffix]
    if suffix == ".json":
        return _of_json(file)
    return _of_zip(file, known) if suffix == ".zip" else None


def _of_json(file: Path) -> tuple[str, str] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    return TENSORFLOW_JS if "weightsManifest" in content else None


def _of_zip(file: Path, known: tuple[str, ...]) -> tuple[str, str] | None:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return ("a damaged archive", "copy it again")
    models = [name for name in names if Path(name).suffix.lower() in (*known, *REFUSED)]
    inside = abbreviate(models or sorted(names)) or "nothing"
    return (f"an archive with {inside}", "unpack it with unzip, and set SOURCE= to the model inside")
