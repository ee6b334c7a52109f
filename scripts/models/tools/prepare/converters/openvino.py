"""Convert to networks in OpenVINO's own format.

Weights in int8 use 7 of 8 bits: a CPU without VNNI adds pairs of products in 16 bits, which would overflow with 8, and
a folder must run on every CPU.
"""

from pathlib import Path

import numpy as np
import openvino as ov
import torch

from scripts.models.tools.prepare.converters.samples import normalised
from worker.models.input import Input
from worker.models.loaders.graph import read

EXAMPLE_IMAGES = 2  # images in the example batch: with 1, a network's code may squeeze the batch dimension


def convert(network: torch.nn.Module, model_input: Input, path: Path) -> None:
    """Write `path` (.xml, and .bin next to it): float32 [N, C, H, W], normalised -> logits."""
    shape = [len(model_input.mean), *model_input.geometry.size]
    converted = ov.convert_model(
        network, example_input=torch.zeros(EXAMPLE_IMAGES, *shape), input=[(ov.PartialShape([-1, *shape]), ov.Type.f32)]
    )
    ov.save_model(converted, path, compress_to_fp16=False)


def quantise(source: Path, images: np.ndarray, model_input: Input, path: Path) -> None:
    """Write `path`, the float32 network `source` in int8, calibrated on uint8 `images` [N, H, W, C]."""
    network = read(source)
    taken = network.input(0)
    sides = [side.get_length() if side.is_static else None for side in taken.get_partial_shape()]
    samples = list(normalised(images, model_input, sides, np.dtype(taken.get_element_type().to_dtype())))
    ov.save_model(quantised(network, samples), path, compress_to_fp16=False)


def quantised(network: ov.Model, samples: list[np.ndarray]) -> ov.Model:
    """Return `network` in int8, calibrated on `samples`, each an input of the network."""
    import nncf  # only here, since it takes a second to import

    model_type = nncf.ModelType.TRANSFORMER if has_attention(network) else None
    preset = nncf.QuantizationPreset.MIXED  # asymmetric activations: not all of them follow a ReLU
    dataset = nncf.Dataset(samples)
    return nncf.quantize(
        network, dataset, preset=preset, model_type=model_type, subset_size=len(samples), fast_bias_correction=True,
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
    )  # fmt: skip


def has_attention(network: ov.Model) -> bool:
    """Return whether a matrix product in the graph takes the output of a softmax: attention weights times values."""
    operation_types = {operation.get_type_name() for operation in network.get_ops()}
    softmax_consumers = (
        target.get_node().get_type_name()
        for operation in network.get_ops()
        if operation.get_type_name() == "Softmax"
        for target in operation.output(0).get_target_inputs()
    )
    return "ScaledDotProductAttention" in operation_types or "MatMul" in softmax_consumers
