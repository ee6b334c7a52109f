"""The ONNX Runtime engine: ONNX networks on CPUs."""

from worker.contract.declarations import EngineDeclaration, PreparedNetworks

ENGINE = EngineDeclaration(
    name="onnxruntime",
    reads=("onnx",),
    cpu=("f32", "int8"),
    memory_mb=150,
    prepared=PreparedNetworks("onnxruntime", ".onnx", ".onnx.data"),
)
