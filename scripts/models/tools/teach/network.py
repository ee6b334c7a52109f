"""Change a network's graph: cut it before its last layer, and append a new head there."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from scripts.models.tools.teach.head import FAR_POWER, Head
from worker.contract.engine import EXACT, QUANTISED
from worker.contract.engines.openvino import ENGINE
from worker.contract.toml_reader import ModelError
from worker.engines.openvino import OpenVinoEngine, engine_options
from worker.models.folder import ModelFolder
from worker.models.input import Infer, Input
from worker.models.loaders import graph

LAYERS = {"MatMul", "Convolution"}  # what a last layer may be
PASSED = {"FakeQuantize", "Reshape", "Squeeze", "Convert"}  # between the features and the last layer
FEATURES = "wanwu/features"  # the name of the operation that gives them in a network that was taught
SPARE_BYTES = 1 << 20  # of a disk that is not full
IMAGE_RANK, TOKENS_RANK = 4, 3  # features that still have sides [N, D, H, W] or tokens [N, T, D]


def source_of(folder: ModelFolder) -> tuple[Path, str]:
    """Return the network of `folder` to teach, and its precision: int8 if one passed or is its own, else f32.

    Raise ModelError if it has none that OpenVINO runs.
    """
    measured = {row.precision for row in folder.engine.measured if row.engine == ENGINE.name and row.passed}
    own_int8 = folder.engine.precision == QUANTISED and not folder.engine.measured
    for precision in (QUANTISED, EXACT):
        if precision == QUANTISED and not (own_int8 or QUANTISED in measured):
            continue
        file = folder.engine.network(folder.loader, ENGINE.name, precision)
        if file is not None:
            return (folder.path / file if file else folder.weights), precision
    raise ModelError(
        f"BASE: {folder.name}: found no network that {ENGINE.name} runs, needed one: "
        f"run `make model-prepare NAME={folder.path.name}` first"
    )


def cut(folder: ModelFolder, path: Path) -> ov.Model:
    """Return the network in `path`, of the model `folder`, with its features [N, D] as the only output.

    The features are what goes into its last layer, without their quantisation; of a zero-shot network, its embedding
    as a unit vector. Raise ModelError if it cannot be read or has no last layer with constant weights.
    """
    network = graph.with_output(graph.read(path), folder.output.tensor, path)
    (result,) = network.get_results()
    if taught := [one for one in network.get_ops() if one.get_friendly_name() == FEATURES]:
        features = taught[0].input_value(0)
    elif folder.zero_shot:
        features = ops.normalize_l2(_flat(result.input_value(0)), np.array([1]), 1e-12, "add").output(0)
    else:
        features = _flat(_before_last_layer(result, path))
    values = ops.convert(features, "f32", name=FEATURES)
    return ov.Model([ops.result(values)], network.get_parameters(), "features")


def with_head(features: ov.Model, head: Head) -> ov.Model:
    """Return the network that computes `features` with `head` behind them: float32 logits [N, classes]."""
    values = features.get_results()[0].input_value(0)
    linear = ops.add(ops.matmul(values, head.weights, False, True), head.bias[np.newaxis])
    unit = ops.normalize_l2(values, np.array([1]), 1e-12, "add")
    cosine = ops.reduce_max(ops.matmul(unit, head.centres, False, True), np.array([1]), True)
    distance = ops.maximum(ops.subtract(np.float32(1), cosine), np.float32(1e-6))
    nearness = ops.minimum(ops.divide(np.float32(head.reach), distance), np.float32(1))
    logits = ops.multiply(linear, ops.power(nearness, np.float32(FAR_POWER)))
    return ov.Model([ops.result(logits)], features.get_parameters(), "taught")


def save(network: ov.Model, path: Path) -> None:
    """Write `network` to `path`; raise OSError if there is no space for it, which OpenVINO may not notice."""
    try:
        ov.save_model(network, path, compress_to_fp16=False)
        reason = ""
    except RuntimeError as error:
        reason = " ".join(str(error).split())
    if shutil.disk_usage(path.parent).free < SPARE_BYTES:
        reason = os.strerror(errno.ENOSPC)
    if reason:
        raise OSError(errno.ENOSPC, reason, str(path))


def open_network(path: Path, model_input: Input, threads: int) -> Infer:
    """Return the function that runs the network in `path` on one image at a time, as a worker runs it."""
    return OpenVinoEngine(path, model_input, (1,), engine_options(QUANTISED, threads)).infer


def _before_last_layer(result: ov.Node, path: Path) -> ov.Output:
    """Return what goes into the last layer; raise ModelError if there is none."""
    port = result.input_value(0)
    while port.get_node().get_type_name() not in LAYERS:
        inputs = [one.get_source_output() for one in port.get_node().inputs()]
        port = next((one for one in inputs if not _is_constant(one)), None)
        if port is None:
            raise ModelError(f"{path}: found no last layer with weights, needed a classifier: choose another BASE=")
    port = port.get_node().input_value(0)
    deeper = port
    while deeper.get_node().get_type_name() in PASSED:
        deeper = deeper.get_node().input_value(0)
        if _is_flat(deeper):
            port = deeper
    return port


def _is_constant(port: ov.Output) -> bool:
    """Return whether nothing that `port` is computed from is an input of the network."""
    nodes, seen = [port.get_node()], set()
    while nodes:
        node = nodes.pop()
        if node.get_type_name() == "Parameter":
            return False
        if (name := node.get_name()) not in seen:
            seen.add(name)
            nodes += [one.get_source_output().get_node() for one in node.inputs()]
    return True


def _is_flat(port: ov.Output) -> bool:
    """Return whether `port` is [N, D], or [N, D, 1, 1]."""
    return all(side.is_static and side.get_length() == 1 for side in list(port.get_partial_shape())[2:])


def _flat(port: ov.Output) -> ov.Output:
    """Return the features [N, D] of `port`: the mean over its sides or tokens."""
    rank = len(port.get_partial_shape())
    axes = {IMAGE_RANK: [2, 3], TOKENS_RANK: [1]}.get(rank)
    return ops.reduce_mean(port, np.array(axes), False).output(0) if axes else port
