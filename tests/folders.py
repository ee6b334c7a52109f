"""Small real model folders for the tests: random weights, saved by the real libraries."""

import argparse
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.cached_folders import cached
from worker.models import torchvision_ops

SIZE = 32
LABELS = {"en": ["cat", "dog", "tea"], "zh": ["猫", "狗", "茶"]}
MATRIX, ITERATIONS_PER_BRIGHTNESS = 512, 3000  # one core takes 10 s for a white image, 1.7 s for GREY
RED, GREEN, BLUE, GREY = (200, 60, 60), (60, 200, 60), (60, 60, 200), (140, 140, 140)
Colour = tuple[int, int, int]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def small_network() -> torch.nn.Module:
    """Return a network whose answers to plain colours are far enough apart to survive quantisation to 8 bits."""
    torch.manual_seed(0)
    layers = [
        torch.nn.Conv2d(3, 16, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, stride=2),
        torch.nn.ReLU(),
    ]
    head = torch.nn.Linear(32, 3)
    with torch.no_grad():
        head.weight *= 10
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), head).eval()


class Bright(torch.nn.Module):
    """A network with predictable answers: its logits are the means of red, green and blue, times ten."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(dim=(2, 3)) * 10


FRUIT = {
    "en": ["apple", "pear", "plum", "ripe", "unripe", "light", "reddish"],
    "zh": ["苹果", "梨", "李子", "熟", "生", "亮", "偏红"],
    "ja": ["りんご", "なし", "すもも", "熟れた", "青い", "明るい", "赤っぽい"],
}
FRUIT_GROUPS = """
[[output.groups]]
name = "ripeness"
classes = [3, 4]
activation = "softmax"
[[output.groups]]
name = "marks"
classes = [5, 6]
activation = "sigmoid"
"""


class Fruit(torch.nn.Module):
    """Bright with predictable attributes: ripe is red, unripe is green, and two marks may both hold."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        means = pixels.mean(dim=(2, 3))
        red, green = means[:, :1], means[:, 1:2]
        light = means.mean(dim=1, keepdim=True)
        return torch.cat([means * 10, red - green, green - red, light * 10, (red - light) * 10], dim=1)


@cached
def fruit_folder(
    path: Path, *, name: str = "fruit", extra: str = "", output: str = "", examples: Sequence[Colour] = ()
) -> Path:
    """Make a prepared OpenVINO folder of Fruit, with groups of attributes and labels in a third language."""
    import openvino as ov

    path.mkdir(parents=True)
    prepared = ov.convert_model(Fruit(), example_input=torch.zeros(1, 3, SIZE, SIZE))
    ov.save_model(prepared, path / "model.xml", compress_to_fp16=False)
    return finish(
        path, lambda pixels: Fruit()(pixels)[:, :3], loader="openvino", weights="model.xml", engine="openvino",
        name=name, labels=FRUIT, groups=FRUIT_GROUPS, extra=extra, output=output, examples=examples,
    )  # fmt: skip


def spot(row: int, column: int, side: int) -> Image.Image:
    """Return a grey image with a spot of two colours at `row`, `column` (of SIZE), `side` pixels wide and high.

    The colours cancel out: the image's mean colour equals its background, so that covering a part with that colour
    removes nothing but the spot. The margin is what the geometry of these folders crops off.
    """
    pixels, half = np.full((SIZE, SIZE, 3), 128, np.uint8), side // 2
    pixels[row : row + half, column : column + side] = (248, 28, 128)
    pixels[row + half : row + side, column : column + side] = (8, 228, 128)
    margin = (36 - SIZE) // 2
    return Image.fromarray(np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), constant_values=128))


def image(colour: tuple[int, int, int], size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Return a plain image of `size` (width, height) with some noise, so that no codec finds it trivial."""
    noise = np.random.default_rng(7).integers(-9, 9, (size[1], size[0], 3))
    return Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8))


@cached
def openvino_folder(
    path: Path, *, precision: str = "f32", name: str = "bright", network: torch.nn.Module | None = None
) -> Path:
    """Make a prepared OpenVINO folder of `network` (default Bright); int8 is quantised as real models are."""
    import openvino as ov

    network = network or Bright()
    path.mkdir(parents=True)
    prepared = ov.convert_model(network, example_input=torch.zeros(1, 3, SIZE, SIZE))
    prepared.reshape([-1, 3, SIZE, SIZE])
    ov.save_model(_quantised(prepared) if precision == "int8" else prepared, path / "model.xml", compress_to_fp16=False)
    engine = "openvino"
    return finish(path, network, loader=engine, weights="model.xml", engine=engine, precision=precision, name=name)


def _quantised(network: Any) -> Any:
    import nncf
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    rng = np.random.default_rng(5)
    colours = rng.uniform(-2.2, 2.7, (64, 1, 3, 1, 1)) + rng.normal(0, 0.1, (64, 1, 3, SIZE, SIZE))
    # Plain colours differ in range far more than photos do: the default, the mean of their ranges, would clip most.
    parameters = nncf.AdvancedQuantizationParameters(
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
    )
    dataset = nncf.Dataset(list(colours.astype(np.float32)))
    return nncf.quantize(network, dataset, subset_size=64, advanced_parameters=parameters)


@cached
def slow_folder(path: Path, golden: tuple[int, int, int] = RED) -> Path:
    """Make a prepared OpenVINO folder of Bright that takes seconds for a light image and no time for a dark one.

    A loop inside the network repeats in proportion to the image's brightness above ImageNet's mean: nothing is faked.
    """
    import openvino as ov
    from openvino import opset13 as op

    path.mkdir(parents=True)
    pixels = op.parameter([-1, 3, SIZE, SIZE], np.float32, name="pixels")
    means = op.reduce_mean(pixels, op.constant([2, 3]), keep_dims=False)
    factor = op.constant(ITERATIONS_PER_BRIGHTNESS, dtype=np.float32)
    iterations = op.multiply(op.relu(op.reduce_mean(means, op.constant([0, 1]))), factor)
    state, matrix = op.parameter([MATRIX, MATRIX], np.float32), op.constant(np.eye(MATRIX, dtype=np.float32))
    always = op.constant(True)
    product = op.matmul(state, matrix, False, False)
    loop = op.loop(op.convert(iterations, np.int64), always)
    loop.set_function(ov.Model([product, always], [state], "turn"))
    loop.set_special_body_ports([-1, 1])
    loop.set_merged_input(state, matrix.output(0), product.output(0))
    end = loop.get_iter_value(product.output(0), -1)
    nothing = op.multiply(op.reduce_min(end, op.constant([0, 1])), op.constant(0, dtype=np.float32))
    logits = op.add(op.multiply(means, op.constant(10, dtype=np.float32)), nothing)
    ov.save_model(ov.Model([logits], [pixels]), path / "model.xml")
    return finish(
        path, Bright(), loader="openvino", weights="model.xml", engine="openvino", batch_sizes=[1], golden=golden
    )


@cached
def torchvision_folder(path: Path, architecture: str = "mobilenet_v3_small", precision: str = "f32") -> Path:
    """Make a torchvision folder with random weights."""
    torchvision_ops.make_importable()
    from torchvision.models import get_model

    path.mkdir(parents=True)
    torch.manual_seed(0)
    network = get_model(architecture, weights=None, num_classes=3).eval()
    torch.save(network.state_dict(), path / "weights.pth")
    extra = f'architecture = "{architecture}"\n'
    return finish(path, network, loader="torchvision", weights="weights.pth", precision=precision, extra=extra)


@cached
def transformers_folder(path: Path) -> Path:
    """Make a transformers folder: a tiny ViT with random weights."""
    torchvision_ops.make_importable()
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=SIZE,
        patch_size=8, num_labels=3,
    )  # fmt: skip
    network = ViTForImageClassification(config).eval()
    network.save_pretrained(path)
    return finish(path, lambda pixels: network(pixel_values=pixels).logits, loader="transformers", weights=".")


@cached
def timm_folder(path: Path, architecture: str = "test_vit") -> Path:
    """Make a folder in timm's own layout, as timm writes it for a hub."""
    torchvision_ops.make_importable()
    import timm
    from timm.models import save_for_hf

    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=3, img_size=SIZE).eval()
    config = {"label_names": LABELS["en"]}
    save_for_hf(network, path, model_config=config, model_args={"img_size": SIZE}, safe_serialization=True)
    extra = f'architecture = "{architecture}"\n'
    return finish(path, network, loader="timm", weights="model.safetensors", extra=extra)


RESNEST = "resnest14d"


@cached
def resnest_folder(path: Path) -> Path:
    """Make a folder like ModelScope's cv_resnest101_general_recognition, but smaller and with three labels."""
    torchvision_ops.make_importable()
    import timm

    torch.manual_seed(0)
    network = timm.create_model(RESNEST, num_classes=3).eval()
    path.mkdir(parents=True)
    wrapped = {"state_dict": {f"module.{key}": value for key, value in network.state_dict().items()}}
    torch.save(wrapped, path / "pytorch_model.pt")
    lines = "".join(f"{index}\t{label} \t0\n" for index, label in enumerate(LABELS["zh"]))
    (path / "meta_info.txt").write_text(lines, encoding="utf-8")
    return finish(path, network, loader="modelscope", weights="pytorch_model.pt", extra=f'architecture = "{RESNEST}"\n')


VIT = "vit_tiny_patch16_224"
OPENMMLAB = {  # timm's names -> OpenMMLab's
    "cls_token": "backbone.cls_token", "pos_embed": "backbone.pos_embed",
    "patch_embed.proj.": "backbone.patch_embed.projection.", "norm.": "backbone.ln1.", "head.": "head.layers.head.",
    "blocks.": "backbone.layers.", ".norm1.": ".ln1.", ".norm2.": ".ln2.",
    ".mlp.fc1.": ".ffn.layers.0.0.", ".mlp.fc2.": ".ffn.layers.1.",
}  # fmt: skip


@cached
def openmmlab_folder(path: Path) -> Path:
    """Make a smaller version of ModelScope's daily-life ViT: an OpenMMLab checkpoint with its labels in its meta."""
    torchvision_ops.make_importable()
    import timm

    torch.manual_seed(0)
    network = timm.create_model(VIT, num_classes=3, img_size=SIZE).eval()
    path.mkdir(parents=True)
    state = {_openmmlab(key): value for key, value in network.state_dict().items()}
    config = "img_norm_cfg = dict(\n    mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True)"
    meta = {"CLASSES": LABELS["zh"], "config": config, "best": np.float64(0.9), "iter": 7}
    torch.save({"meta": meta, "state_dict": state}, path / "pytorch_model.pt")
    extra = f'architecture = "{VIT}"\n'
    return finish(path, network, loader="modelscope", weights="pytorch_model.pt", extra=extra)


def _openmmlab(key: str) -> str:
    for timm_name, openmmlab_name in OPENMMLAB.items():
        key = (
            key.replace(timm_name, openmmlab_name)
            if timm_name.startswith(".")
            else re.sub(f"^{re.escape(timm_name)}", openmmlab_name, key)
        )
    return key


NETWORK_CODE = """
import torch
from pathlib import Path

Path(__file__).with_name("ran").touch()

def build(classes):
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, classes))
"""


def user_network() -> torch.nn.Module:
    """Return the network that NETWORK_CODE builds, with random weights."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(), torch.nn.Linear(48, 3)).eval()


def code_folder(path: Path, trusted: bool) -> Path:
    """Make a folder of a user's own network: network.py and a state dict."""
    path.mkdir(parents=True)
    (path / "network.py").write_text(NETWORK_CODE)
    network = user_network()
    torch.save({"model": network.state_dict()}, path / "own.pth")
    extra = "trust_code = true\n" if trusted else ""
    return finish(path, network, loader="checkpoint", weights="own.pth", extra=extra)


@cached
def checkpoint_folder(path: Path, architecture: str = "timm:test_resnet") -> Path:
    """Make a folder of a training script's checkpoint, of an architecture that timm or torchvision has."""
    torchvision_ops.make_importable()
    import timm

    torch.manual_seed(0)
    network = timm.create_model(architecture.partition(":")[2], num_classes=3).eval()
    path.mkdir(parents=True)
    state = {f"_orig_mod.module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"model": state, "epoch": 3, "args": argparse.Namespace(lr=0.1)}, path / "last.th")
    extra = f'architecture = "{architecture}"\n'
    return finish(path, network, loader="checkpoint", weights="last.th", extra=extra)


ONNX_OPERATORS: Mapping[type[torch.nn.Module], tuple[str, dict[str, Any]]] = {
    torch.nn.Conv2d: ("Conv", {"strides": [2, 2]}),
    torch.nn.ReLU: ("Relu", {}),
    torch.nn.AdaptiveAvgPool2d: ("GlobalAveragePool", {}),
    torch.nn.Flatten: ("Flatten", {}),
    torch.nn.Linear: ("Gemm", {"transB": 1}),
}


@cached
def onnx_folder(path: Path) -> Path:
    """Make a folder of an ONNX network with its weights in a second file, named as torch.onnx.export names it.

    It is written layer by layer: torch's exporter, which other tests use, takes eight seconds.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    path.mkdir(parents=True)
    network, nodes, value = small_network(), [], "pixels"
    for name, layer in network.named_children():
        kind, options = ONNX_OPERATORS[type(layer)]
        weights = [f"{name}.{key}" for key in layer.state_dict()]
        nodes.append(helper.make_node(kind, [value, *weights], [f"value{name}"], **options))
        value = f"value{name}"
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(tensor.numpy(), name) for name, tensor in network.state_dict().items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path / "m.onnx", save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    return finish(path, network, loader="onnx", weights="m.onnx", engine="openvino")


@cached
def pt2_folder(path: Path) -> Path:
    """Make a folder of a network exported by torch.export."""
    path.mkdir(parents=True)
    network, batch = small_network(), torch.export.Dim("n", min=1, max=64)
    program = torch.export.export(network, (torch.zeros(2, 3, SIZE, SIZE),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path / "m.pt2")
    return finish(path, network, loader="pt2", weights="m.pt2")


def finish(
    path: Path,
    network: Callable[[torch.Tensor], torch.Tensor],
    *,
    loader: str,
    weights: str,
    engine: str = "torch",
    precision: str = "f32",
    name: str = "small",
    extra: str = "",
    batch_sizes: Sequence[int] = (1, 4),
    golden: Colour = RED,
    examples: Sequence[Colour] = (),
    labels: Mapping[str, Sequence[str]] = LABELS,
    output: str = "",
    groups: str = "",
) -> Path:
    """Add labels, golden images with the network's own answers, and model.toml; `examples` are shown to users."""
    for language, lines in labels.items():
        (path / f"labels.{language}.txt").write_text("\n".join(lines) + "\n")
    (path / "golden").mkdir()
    image(golden).save(path / "golden/one.png")
    for number, colour in enumerate(examples):
        image(colour).save(path / f"golden/example-{number}.png")
    goldens = [_golden(path, image, network, labels["en"]) for image in sorted(path.glob("golden/*.png"))]
    files = {str(file.relative_to(path)): file for file in sorted(path.rglob("*")) if file.is_file()}
    digests = "\n".join(f'"{key}" = "{hashlib.sha256(file.read_bytes()).hexdigest()}"' for key, file in files.items())
    label_files = "\n".join(f'{language} = "labels.{language}.txt"' for language in labels)
    (path / "model.toml").write_text(f"""
name = "{name}"
version = "1"
loader = "{loader}"
weights = "{weights}"
{extra}
[files]
{digests}
[input]
size = [{SIZE}, {SIZE}]
resize = 36
interpolation = "bilinear"
mean = {list(MEAN)}
std = {list(STD)}
[output]
activation = "softmax"
{output}
[output.labels]
{label_files}
{groups}
{"".join(goldens)}
[engine]
name = "{engine}"
precision = "{precision}"
batch_sizes = {list(batch_sizes)}
""")
    return path


def _golden(path: Path, image: Path, network: Callable[[torch.Tensor], torch.Tensor], labels: Sequence[str]) -> str:
    """Return the [[golden]] table of `image`, with the answer of `network`."""
    scores = reference(network, image).softmax(-1)[0]
    best = int(scores.argmax())
    return f"""
[[golden]]
image = "{image.relative_to(path)}"
index = {best}
label = "{labels[best]}"
score = {float(scores[best]):.4f}
{"" if image.stem == "one" else "example = true"}
"""


def reference(network: Callable[[torch.Tensor], torch.Tensor], image: Path) -> torch.Tensor:
    """Return the logits [1, classes] for `image`, with the libraries' own preprocessing."""
    torchvision_ops.make_importable()
    from torchvision.transforms import v2

    steps = v2.Compose([
        v2.Resize(36, antialias=True), v2.CenterCrop(SIZE), v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD),
    ])  # fmt: skip
    with torch.inference_mode():
        return network(steps(Image.open(image).convert("RGB")).unsqueeze(0))
