"""The OpenVINO engine: a prepared network, with the change from bytes to normalised values inside its graph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
from openvino.preprocess import ColorFormat, PrePostProcessor

from worker.models.input import Input
from worker.models.loaders.prepared import read

BYTE_RANGE = 255.0


class OpenVinoEngine:
    """Runs an IR (float32 NCHW, already normalised -> logits) on uint8 pictures [N, H, W, 3]."""

    name = "openvino"

    def __init__(
        self, weights: Path, model_input: Input, precision: str, batch_sizes: Sequence[int], threads: int
    ) -> None:
        self.precision = precision
        network = with_preprocessing(read(weights), model_input)
        options = _options(precision, threads)
        self._requests = {}
        for size in batch_sizes:
            # A graph of fixed shape is planned once; a dynamic one would be planned anew for every new size.
            network.reshape([size, *model_input.geometry.size, len(model_input.mean)])
            self._requests[size] = ov.Core().compile_model(network, "CPU", options).create_infer_request()

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """Logits, float32 [N, classes], of uint8 `pictures` [N, H, W, 3]; N is one of the batch sizes."""
        request = self._requests[len(pictures)]
        request.infer([pictures], share_inputs=True)
        return request.get_output_tensor(0).data.copy()


def with_preprocessing(network: ov.Model, model_input: Input) -> ov.Model:
    """`network` (normalised float32 NCHW -> logits) taking uint8 NHWC instead, and giving float32 logits."""
    steps = PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().tensor().set_color_format(ColorFormat.RGB)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    convert = steps.input().preprocess().convert_element_type(ov.Type.f32)
    convert.mean([value * BYTE_RANGE for value in model_input.mean])
    convert.scale([value * BYTE_RANGE for value in model_input.std])
    steps.output().tensor().set_element_type(ov.Type.f32)
    return steps.build()


def _options(precision: str, threads: int) -> dict[str, object]:
    # int8 lives in the graph (its quantisation steps); what is left around it runs in f32.
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # The slot's mask already pins this process; pinning again would put every worker on the first cores.
        "ENABLE_CPU_PINNING": False,
    }
