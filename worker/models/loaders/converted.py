"""Describe networks of TensorFlow, TensorFlow Lite and PaddlePaddle, converted to OpenVINO's own format.

OpenVINO reads all but PaddlePaddle 3's format itself, and pir.py that one, so no other library is needed. They are
converted once, when the model is added.
"""

from dataclasses import replace
from pathlib import Path

import openvino as ov
from openvino import opset13 as ops

from worker.contract.lfs import refuse_pointer
from worker.contract.loaders import LOADERS, paddle
from worker.contract.loaders.tensorflow import SAVED_MODEL
from worker.contract.toml_reader import ModelError
from worker.models.loaders import Description, detect
from worker.models.loaders.companion_settings import settings_beside
from worker.models.loaders.exported import describe_graph
from worker.models.loaders.graph import reason_of
from worker.models.loaders.metadata_inside import labels_inside
from worker.models.loaders.pir import read_pir

CONVERTED = "model.xml"  # with its weights in model.bin
GRAPH_SUFFIXES = tuple(suffix for loader in LOADERS.values() if loader.converted_to for suffix in loader.suffixes)


def describe(path: Path, architecture: str) -> Description:
    """Return the description of the converted network. Raise ModelError if OpenVINO cannot read it."""
    main = _main(path)
    network = with_real_outputs(_read(main))
    description = describe_graph(network, main, settings_beside(main / SAVED_MODEL if main.is_dir() else main))

    def write(folder: Path) -> None:
        ov.save_model(network, folder / CONVERTED, compress_to_fp16=False)

    labels = description.labels or labels_inside(main)
    note = f"converted from {main.name} to {CONVERTED}"
    return replace(
        description, loader="openvino", weights=CONVERTED, files={}, labels=labels, write=write,
        notes=(note, *description.notes),
    )  # fmt: skip


def with_real_outputs(network: ov.Model) -> ov.Model:
    """Return `network` with real numbers in place of outputs that quantisation made whole ones.

    Such an output is round((score - low) / step): its last FakeQuantize, which computes that, is told to give the
    rounded score itself.
    """
    for result in network.get_results():
        convert = result.input_value(0).get_node()
        if convert.get_type_name() != "Convert" or result.get_output_element_type(0).is_real():
            continue
        steps = convert.input_value(0).get_node()
        if steps.get_type_name() != "FakeQuantize":
            continue
        score, low, high = (steps.input_value(index) for index in range(3))
        real = ops.fake_quantize(score, low, high, low, high, steps.get_attributes()["levels"])
        names = convert.output(0).get_names()
        result.input(0).replace_source_output(real.output(0))
        real.output(0).set_names(names)
    network.validate_nodes_and_infer_types()
    return network


def is_quantised(path: Path) -> bool:
    """Return False: a folder never holds such a file, only what it was converted to."""
    return False


def _main(path: Path) -> Path:
    """Return the file or SavedModel folder that is read. Raise ModelError if it is none, or lacks its weights."""
    if path.name == SAVED_MODEL:
        path = path.parent
    if not (path / SAVED_MODEL).is_file():
        path = paddle.find_graph(path) or detect.find_file(path, GRAPH_SUFFIXES)
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            refuse_pointer(file)
    if path.suffix in paddle.GRAPHS and not path.with_suffix(paddle.WEIGHTS).is_file():
        raise ModelError(f"{path.with_suffix(paddle.WEIGHTS)}: not found; {path.name} needs it for its weights")
    return path


def _read(path: Path) -> ov.Model:
    if path.suffix == ".json":
        return read_pir(path)
    try:
        return ov.Core().read_model(path)
    except Exception as error:  # a damaged file may make OpenVINO raise anything
        raise ModelError(
            f"{path}: not a network that OpenVINO can read: {reason_of(error)}; "
            "export it again, or as ONNX (tf2onnx, paddle2onnx)"
        ) from error
