"""What the ONNX files that are written here look like."""

MAX_ONE_FILE_BYTES = 1_800_000_000  # bytes of weights that fit into one ONNX file: protobuf's limit is 2 GiB
OPSET = 18  # of ONNX; the pinned onnxruntime and its quantiser support all of it
