"""Read PaddlePaddle 3's networks: an inference.json (PIR) and its weights in a .pdiparams.

OpenVINO reads the older .pdmodel itself, but not this format. The operations of image classifiers are translated one by
one; a network with any other is refused with the name of the operation.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from worker.contract.loaders.paddle import WEIGHTS
from worker.contract.toml_reader import ModelError, abbreviate
from worker.models.loaders.pir_operations import OPERATIONS, Value

MAGIC = "pir"
PARAMETER, INPUT, OUTPUT = "p", "data", ("fetch", "shadow_output")
# framework.proto's data types, as far as weights have them.
DTYPES: dict[int, np.dtype[Any]] = {
    2: np.dtype(np.int32),
    3: np.dtype(np.int64),
    4: np.dtype(np.float16),
    5: np.dtype(np.float32),
}
TYPES = {"float32": ov.Type.f32, "float16": ov.Type.f16, "uint8": ov.Type.u8, "float64": ov.Type.f64}
TENSOR = struct.Struct("<IQIi")  # version, levels of detail, version, bytes of the description that follows
EXPORT = (
    "export it to ONNX with `paddle2onnx --model_dir DIR --model_filename inference.json "
    "--params_filename inference.pdiparams --save_file net.onnx`"
)


def read_pir(path: Path) -> ov.Model:
    """Return the network in `path` and the .pdiparams beside it.

    Raise ModelError if a file is damaged, or the network has operations that are not translated.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["base_code"]["magic"] != MAGIC:
            raise ValueError(f"its base_code is {content['base_code']}")
        (region,) = content["program"]["regions"]
        (block,) = region["blocks"]
        operations = block["ops"]
        names = {operation["A"][3]: _result(operation["O"]) for operation in operations if operation["#"] == PARAMETER}
        unknown = sorted({_kind(one) for one in operations} - {*OPERATIONS, PARAMETER, INPUT, *OUTPUT})
        if unknown:
            raise ModelError(f"{path}: has operations that are not read here, {abbreviate(unknown)}: {EXPORT}")
        values: dict[int, Value] = dict(
            zip((names[name] for name in sorted(names)), _weights(path.with_suffix(WEIGHTS)), strict=True)
        )
        return _network(operations, values)
    except ModelError:
        raise
    except Exception as error:  # a damaged file may raise anything, and so may OpenVINO
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ModelError(f"{path}: not a network of PaddlePaddle that can be read: {reason[0]}; {EXPORT}") from error


def _network(operations: list[Any], values: dict[int, Value]) -> ov.Model:
    parameters, results = [], []
    for operation in operations:
        kind, attributes = _kind(operation), _attributes(operation)
        if kind == PARAMETER:
            continue
        taken: list[Value] = [values.get(each["%"]) for each in operation["I"]]
        if kind == INPUT:
            parameter = ops.parameter(attributes["shape"], TYPES[attributes["dtype"]], attributes["name"])
            parameter.output(0).set_names({attributes["name"]})
            parameters.append(parameter)
            values[_result(operation["O"][0])] = parameter.output(0)
        elif kind in OUTPUT:
            taken[0].set_names({attributes.get("name") or attributes["output_name"]})
            results.append(ops.result(taken[0]))
        else:
            given = OPERATIONS[kind](attributes, *taken)
            # Outputs after the first, such as the statistics of a training step, are used by no classifier.
            outputs = given if isinstance(given, list) and len(operation["O"]) > 1 else [given]
            values |= {_result(one): value for one, value in zip(operation["O"], outputs, strict=False)}
    return ov.Model(results, parameters, "paddle")


def _kind(operation: Mapping[str, Any]) -> str:
    return str(operation["#"]).rpartition(".")[2]


def _result(output: Mapping[str, Any]) -> int:
    return int(output["%"])


def _attributes(operation: Mapping[str, Any]) -> dict[str, Any]:
    if operation["#"] == PARAMETER:
        return {}
    return {each["N"]: _plain(each["AT"]) for each in operation["A"]}


def _plain(attribute: Mapping[str, Any]) -> Any:
    value: Any = attribute.get("D")
    return [_plain(each) for each in value] if str(attribute["#"]).endswith(".a_array") else value


def _weights(path: Path) -> Iterator[ov.Output]:
    """Yield the tensors of a .pdiparams, which follow one another in the order of their names."""
    data, start = path.read_bytes(), 0
    while start < len(data):
        *_, length = TENSOR.unpack_from(data, start)
        start += TENSOR.size
        dtype, shape = _described(data[start : start + length])
        start += length
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(data, dtype, count, start).reshape(shape)
        start += array.nbytes
        constant = ops.constant(array)
        yield constant.output(0) if dtype != np.float16 else ops.convert(constant, "f32").output(0)


def _described(description: bytes) -> tuple[np.dtype, list[int]]:
    """Return the type and shape in a TensorDesc of framework.proto: field 1 is the type, field 2 a side, varints."""
    numbers, value, shift = [], 0, 0
    for byte in description:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    return DTYPES[pairs[0][1]], [number for _, number in pairs[1:]]
