"""The files of a repository to fetch: those that serving needs, with the weights in one format."""

import pytest

from scripts.models.tools.sources import FetchError
from scripts.models.tools.sources.layout import needed_files

REPOSITORIES = {
    "transformers, with every form of the weights": (
        [".gitattributes", "README.md", "config.json", "flax_model.msgpack", "model.safetensors",
         "preprocessor_config.json", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "train.py"],
        ["config.json", "model.safetensors", "preprocessor_config.json"],
    ),
    "pickles alone, in parts": (
        ["config.json", "preprocessor_config.json", "pytorch_model-00001-of-00002.bin",
         "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json", "training_args.bin"],
        ["config.json", "preprocessor_config.json", "pytorch_model-00001-of-00002.bin",
         "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"],
    ),
    "Chinese-CLIP": (
        ["clip_cn_vit-b-16.pt", "config.json", "preprocessor_config.json", "pytorch_model.bin", "vocab.txt"],
        ["config.json", "preprocessor_config.json", "pytorch_model.bin", "vocab.txt"],
    ),
    "SigLIP": (
        ["config.json", "model.safetensors", "preprocessor_config.json", "special_tokens_map.json", "spiece.model",
         "tokenizer.json", "tokenizer_config.json"],
        ["config.json", "model.safetensors", "preprocessor_config.json", "special_tokens_map.json", "spiece.model",
         "tokenizer.json", "tokenizer_config.json"],
    ),
    "OpenCLIP": (
        ["open_clip_config.json", "open_clip_model.safetensors", "open_clip_pytorch_model.bin",
         "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"],
        ["open_clip_config.json", "open_clip_model.safetensors", "special_tokens_map.json", "tokenizer.json",
         "tokenizer_config.json"],
    ),
    "OpenCLIP beside the image tower alone": (
        ["config.json", "model.safetensors", "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"],
        ["config.json", "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"],
    ),
    "OpenCLIP beside the same model of transformers": (
        ["config.json", "model.safetensors", "open_clip_config.json", "open_clip_pytorch_model.bin",
         "preprocessor_config.json", "tokenizer.json"],
        ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"],
    ),
    "ModelScope": (
        ["README.md", "configuration.json", "meta_info.txt", "pytorch_model.pt", "resources/a.jpg"],
        ["configuration.json", "meta_info.txt", "pytorch_model.pt"],
    ),
    "ONNX with its data": (
        ["label.txt", "model.onnx", "model.onnx_data"],
        ["label.txt", "model.onnx", "model.onnx_data"],
    ),
    "one file under a name of its own": (["README.md", "best.pth"], ["best.pth"]),
}  # fmt: skip


@pytest.mark.parametrize(("paths", "expected"), REPOSITORIES.values(), ids=REPOSITORIES.keys())
def test_the_weights_are_fetched_in_one_format(paths: list[str], expected: list[str]) -> None:
    assert needed_files("hf:org/name", paths) == expected


def test_timm_gets_the_weights_in_its_own_format() -> None:
    paths = ["config.json", "model.safetensors", "open_clip_config.json", "open_clip_model.safetensors"]
    assert needed_files("timm:name", paths, "timm") == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("paths", "needed"),
    [
        (
            ["onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_quantized.onnx", "onnx/model_fp16.onnx"],
            ["onnx/model.onnx", "onnx/model.onnx_data"],
        ),
        (["onnx/model_quantized.onnx", "onnx/model_q4.onnx"], ["onnx/model_quantized.onnx"]),
        (["openvino_model.xml", "openvino_model.bin", "model.onnx"], ["openvino_model.bin", "openvino_model.xml"]),
        (
            ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001", "keras.h5"],
            ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"],
        ),
        (
            ["inference.pdmodel", "inference.pdiparams", "inference.pdiparams.info"],
            ["inference.pdiparams", "inference.pdmodel"],
        ),
        (["inference.json", "inference.pdiparams"], ["inference.json", "inference.pdiparams"]),
        (["net.tflite", "README.md"], ["net.tflite"]),
        (["model.safetensors", "onnx/model.onnx"], ["model.safetensors"]),
    ],
)
def test_a_repository_of_an_exported_network_is_fetched_in_one_precision(paths: list[str], needed: list[str]) -> None:
    both = ["config.json", "preprocessor_config.json"]
    assert needed_files("hf:org/name", [*paths, *both]) == sorted([*needed, *both])


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ([], "nothing"),
        (["README.md", "tf_model.h5", "onnx/encoder.onnx"], "README.md, tf_model.h5"),
        (["a.pth", "b.pth"], "a.pth, b.pth"),
    ],
)
def test_a_repository_without_weights_is_refused(paths: list[str], found: str) -> None:
    with pytest.raises(FetchError) as error:
        needed_files("hf:org/name", paths)
    assert str(error.value) == (
        f"hf:org/name: found {found}, needed weights such as model.safetensors: "
        "choose a repository that a loader can read"
    )
