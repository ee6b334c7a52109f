"""EfficientNets with random weights, under the layer names of efficientnet_pytorch."""

import torch

from worker.models import torchvision_ops


def network_of(variant: str, classes: int = 1000, channels: int = 3) -> torch.nn.Module:
    """Return timm's network with random weights; its normalisation layers all differ, and its answers vary by image."""
    torchvision_ops.make_importable()
    import timm

    torch.manual_seed(0)
    network = timm.create_model(f"tf_efficientnet_{variant}", num_classes=classes, in_chans=channels).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            for values in (layer.weight.data, layer.bias.data, layer.running_mean):
                values += (torch.rand(values.shape) - 0.5) / 4
            layer.running_var.copy_(torch.rand(layer.running_var.shape) + 0.25)
    return network


def efficientnet_pytorch_state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights under efficientnet_pytorch's layer names, listed in the order of its forward pass."""
    order = ["_conv_stem", "_bn0"]
    for number, block in enumerate(block for stage in network.blocks for block in stage):
        order += [f"_blocks.{number}.{name}" for name in layer_names(block)]
    order += ["_conv_head", "_bn1", "_fc"]
    layers = [layer for layer in network.modules() if layer._parameters]
    return {
        f"{name}.{kind}": value
        for name, layer in zip(order, layers, strict=True)
        for kind, value in layer.state_dict().items()
    }


def layer_names(block: torch.nn.Module) -> list[str]:
    convolutions = [layer for layer in block.modules() if isinstance(layer, torch.nn.Conv2d)]
    expansion = ["_expand_conv", "_bn0"] if convolutions[0].groups == 1 else []
    squeeze = ["_se_reduce", "_se_expand"] if any(layer.bias is not None for layer in convolutions) else []
    return [*expansion, "_depthwise_conv", "_bn1", *squeeze, "_project_conv", "_bn2"]
