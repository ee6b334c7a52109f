"""The OpenVINO engine: OpenVINO and ONNX networks on CPUs."""

from worker.contract.declarations import EngineDeclaration, PreparedNetworks

ENGINE = EngineDeclaration(
    name="openvino",
    reads=("openvino", "onnx"),
    cpu=("f32", "bf16", "int8"),
    memory_mb=150,
    prepared=PreparedNetworks("openvino", ".xml", ".bin"),
    safe=True,
)
