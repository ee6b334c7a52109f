"""Every zero-shot family against its library's own few lines, and what is refused of its folders."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import images, zero_shot_folders
from tests.folders import SIZE
from tests.unit.worker.models.loaders.model_errors import PickledCommand, model_error
from worker.decode import Geometry, decode
from worker.models import torchvision_ops
from worker.models.folder import read_folder
from worker.models.loaders import describe, load_network, load_text_tower
from worker.models.zero_shot import embed, ignore_progress
from worker.pipeline.text_embeddings import open_text_heads

torchvision_ops.make_importable()
from transformers import AutoProcessor  # noqa: E402

TOLERANCE = 1e-4
LABELS = ["cat", "狗", "a cup of tea"]
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)
OPEN_CLIP = [family for family in zero_shot_folders.FAMILIES if family.startswith("open_clip")]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of every family."""
    folder = tmp_path_factory.mktemp("shelf")
    for name, make in zero_shot_folders.FAMILIES.items():
        make(folder / name)
    return folder


@pytest.fixture(params=zero_shot_folders.FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_features_and_texts_give_the_librarys_logits(shelf: Path, tmp_path: Path, family: str) -> None:
    folder = read_folder(zero_shot_folders.add_model(shelf / family, tmp_path / family))
    pixels = torch.rand(4, 3, *folder.input.geometry.size) * 2 - 1
    with torch.inference_mode():
        features = load_network(folder)(pixels).numpy()
    tower = load_text_tower("zero_shot", folder.weights, 1)
    expected = zero_shot_folders.library_logits(shelf / family, pixels, [f"a photo of {label}." for label in LABELS])
    logits = embed(tower, LABELS, ["a photo of {}."], ignore_progress)(features)
    assert logits.shape == (4, 3)
    assert np.abs(logits - expected.numpy()).max() < TOLERANCE
    assert np.ptp(logits, axis=1).min() > 10 * TOLERANCE  # else any answer would have been close


def test_several_templates_give_their_normalised_mean(shelf: Path, tmp_path: Path, family: str) -> None:
    """The library's logits are linear in the text's embedding, so those of a mean are the mean, but for its length."""
    folder = read_folder(zero_shot_folders.add_model(shelf / family, tmp_path / family))
    pixels = torch.rand(4, 3, *folder.input.geometry.size) * 2 - 1
    with torch.inference_mode():
        features = load_network(folder)(pixels).numpy()
    tower, templates = load_text_tower("zero_shot", folder.weights, 1), ["a photo of {}.", "一张{}的照片。"]
    head = embed(tower, LABELS, templates, ignore_progress)
    each = [
        zero_shot_folders.library_logits(shelf / family, pixels, [template.format(label) for label in LABELS]).numpy()
        for template in templates
    ]
    lengths = np.linalg.norm(sum(tower.embed([one.format(label) for label in LABELS]) for one in templates) / 2, axis=1)
    expected = (sum(each) / 2 - tower.bias) / lengths + tower.bias
    assert np.abs(head(features) - expected).max() < TOLERANCE


def test_a_long_label_is_truncated_as_the_library_truncates_it(shelf: Path, family: str) -> None:
    long = "a very long label " * 20
    found = load_text_tower("zero_shot", shelf / family, 1).embed([long, "cat"])
    assert found.shape[0] == 2
    assert np.linalg.norm(found, axis=1) == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("family", "geometry", "mean", "std", "activation", "language"),
    [
        ("clip", Geometry((SIZE, SIZE), SIZE, "bicubic", "down"), CLIP_MEAN, CLIP_STD, "softmax", "en"),
        ("chinese_clip", Geometry((SIZE, SIZE), SIZE, "bicubic", "down"), CLIP_MEAN, CLIP_STD, "softmax", "zh"),
        ("siglip", Geometry((SIZE, SIZE), None, "bicubic"), HALF, HALF, "sigmoid", "en"),
        ("open_clip_vit", Geometry((SIZE, SIZE), SIZE, "bicubic"), CLIP_MEAN, CLIP_STD, "softmax", "en"),
        ("open_clip_siglip", Geometry((160, 160), None, "bicubic"), HALF, HALF, "sigmoid", "en"),
    ],
)  # fmt: skip
def test_an_incomplete_folder_is_refused_with_what_it_needs(
    shelf: Path, family: str, geometry: Geometry, mean: object, std: object, activation: str, language: str
) -> None:
    found = describe(shelf / family)
    assert (found.loader, found.weights, found.labels) == ("zero_shot", ".", {})
    assert (found.geometry, found.mean, found.std) == (geometry, mean, std)
    assert (found.activation, found.text_language) == (activation, language)


@pytest.mark.parametrize("size", [(300, 300), (64, 160), (333, 251), (90, 400)])
def test_images_are_prepared_as_the_library_prepares_them(shelf: Path, family: str, size: tuple[int, int]) -> None:
    """Within one grey level."""
    found, image = describe(shelf / family), images.photo(size)
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (found.mean, found.std))
    expected = (zero_shot_folders.library_pixels(shelf / family, image)[0].numpy() * std + mean) * 255
    pixels = decode(images.encoded(image, "PNG"), found.geometry, exact=True).transpose(2, 0, 1)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() < 1.01


@pytest.mark.parametrize(
    ("family", "files"),
    [
        ("clip", {"config.json", "preprocessor_config.json", "vocab.json", "merges.txt", "model.safetensors"}),
        ("chinese_clip", {"config.json", "preprocessor_config.json", "vocab.txt", "model.safetensors"}),
        (
            "siglip",
            {
                "config.json", "preprocessor_config.json", "spiece.model", "tokenizer_config.json", "model.safetensors",
            },
        ),
        ("open_clip_vit", {"open_clip_config.json", "open_clip_model.safetensors"}),
        (
            "open_clip_siglip",
            {"open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json", "tokenizer_config.json"},
        ),
    ],
)  # fmt: skip
def test_only_the_needed_files_are_copied(shelf: Path, family: str, files: set[str]) -> None:
    found = describe(shelf / family)
    assert set(found.files) == files
    assert all(path == shelf / family / name for name, path in found.files.items())


def test_a_folder_as_transformers_5_writes_it_is_the_same(copy_of: Callable[[str], Path]) -> None:
    """With all that prepares images and texts in two files."""
    path = copy_of("clip")
    before = describe(path)
    AutoProcessor.from_pretrained(path).save_pretrained(path)
    for name in ("preprocessor_config.json", "vocab.json", "merges.txt"):
        (path / name).unlink()
    found = describe(path)
    assert (found.geometry, found.mean, found.std) == (before.geometry, before.mean, before.std)
    assert set(found.files) >= {"processor_config.json", "tokenizer.json"}
    assert load_text_tower("zero_shot", path, 1).embed(["cat"]).shape == (1, 24)


# What is refused


@pytest.fixture
def copy_of(shelf: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a family's folder, to be damaged."""
    return lambda family: Path(shutil.copytree(shelf / family, tmp_path / "m"))


def error_text(path: Path, loader: str | None = None) -> str:
    return model_error(path.parent, lambda: describe(path, loader))


def rewritten(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("family", "missing", "needed"),
    [
        ("clip", ["vocab.json"], "vocab.json and merges.txt, or tokenizer.json"),
        ("clip", ["merges.txt"], "vocab.json and merges.txt, or tokenizer.json"),
        ("chinese_clip", ["vocab.txt"], "vocab.txt, or tokenizer.json"),
        ("siglip", ["spiece.model"], "spiece.model, or tokenizer.json"),
        (
            "open_clip_siglip",
            ["tokenizer.json"],
            "one of tokenizer.json, spiece.model, tokenizer.model, vocab.txt, and the files next to it",
        ),
    ],
)
def test_a_folder_without_its_tokenizer_is_refused(
    copy_of: Callable[[str], Path], family: str, missing: list[str], needed: str
) -> None:
    path = copy_of(family)
    for name in missing:
        (path / name).unlink()
    assert error_text(path) == f"F/m: has no tokenizer to read labels with; needed {needed}"


def test_a_folder_without_weights_is_refused(copy_of: Callable[[str], Path], family: str) -> None:
    path = copy_of(family)
    next(path.glob("*.safetensors")).unlink()
    names = "one of open_clip_model.safetensors, open_clip_pytorch_model.safetensors, open_clip_pytorch_model.bin, "
    names += "open_clip_pytorch_model.pth, model.safetensors, pytorch_model.bin, pytorch_model.pth, model.pth"
    if family not in OPEN_CLIP:
        names = "model.safetensors or pytorch_model.bin, or these in parts with their .index.json"
    assert error_text(path) == f"F/m: has no weights; needed {names}"


@pytest.mark.parametrize("family", ["clip", "open_clip_siglip"])
def test_files_that_are_not_weights_are_refused(copy_of: Callable[[str], Path], family: str) -> None:
    path = copy_of(family)
    weights = next(path.glob("*.safetensors"))
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    assert error_text(path) == f"F/m/{weights.name}: a Git LFS pointer, not the weights; fetch them with `git lfs pull`"
    weights.write_bytes(b"\x99" * 50)
    assert error_text(path).startswith(f"F/m/{weights.name}: cannot be read: ")


def test_weights_with_code_in_them_are_refused_and_not_run(copy_of: Callable[[str], Path]) -> None:
    path = copy_of("open_clip_vit")
    (path / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": PickledCommand(path / "ran")}, path / "open_clip_pytorch_model.bin")
    assert error_text(path).startswith("F/m/open_clip_pytorch_model.bin: contains code and was not loaded: ")
    assert not (path / "ran").exists()


def test_weights_of_another_architecture_are_refused(
    copy_of: Callable[[str], Path], shelf: Path, tmp_path: Path
) -> None:
    path = copy_of("clip")
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | {"projection_dim": 48}))
    folder = zero_shot_folders.add_model(shelf / "clip", tmp_path / "added")
    shutil.copy(path / "config.json", folder)
    assert model_error(folder.parent, lambda: load_network(read_folder(folder))) == (
        "F/added: does not fit clip: missing or of another shape: text_projection.weight, visual_projection.weight"
    )


def test_weights_of_another_open_clip_architecture_are_refused(copy_of: Callable[[str], Path]) -> None:
    path = copy_of("open_clip_vit")
    config = json.loads((path / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["layers"] = 3
    (path / "open_clip_config.json").write_text(json.dumps(config))
    assert error_text(path).startswith(
        "F/m: not a folder that OpenCLIP can load: Error(s) in loading state_dict for CLIP: Missing key(s) in "
        'state_dict: "transformer.resblocks.2.ln_1.weight", '
    )
    assert len(error_text(path)) < 400


def test_a_tokenizer_of_another_model_is_refused(copy_of: Callable[[str], Path]) -> None:
    path = copy_of("chinese_clip")
    words = (path / "vocab.txt").read_text(encoding="utf-8")
    count = len(words.splitlines())
    (path / "vocab.txt").write_text(f"{words}more\n", encoding="utf-8")
    assert model_error(path.parent, lambda: load_text_tower("zero_shot", path, 1)) == (
        f"F/m: its tokenizer has {count + 1} tokens, its text tower supports {count}; copy both from the same model"
    )


def test_a_processor_of_another_model_is_refused(copy_of: Callable[[str], Path]) -> None:
    path = copy_of("siglip")
    rewritten(path / "preprocessor_config.json", size={"height": 64, "width": 64})
    assert error_text(path) == (
        "F/m: its processor gives 64 x 64 pixels, its image tower takes 32 x 32; "
        "copy preprocessor_config.json from where the model came from"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"resize_mode": "longest"},
            "resize_mode 'longest' to 32 x 32 pixels cannot be expressed in model.toml's [input]",
        ),
        ({"interpolation": "random"}, "interpolation 'random' is none of nearest, bilinear, bicubic, lanczos, box"),
    ],
)
def test_preprocessing_that_input_cannot_express_is_refused(
    copy_of: Callable[[str], Path], changes: dict[str, object], reason: str
) -> None:
    path = copy_of("open_clip_vit")
    config = json.loads((path / "open_clip_config.json").read_text())
    rewritten(path / "open_clip_config.json", preprocess_cfg=config["preprocess_cfg"] | changes)
    assert error_text(path) == f"F/m: {reason}"


@pytest.mark.parametrize(
    ("model_cfg", "reason"),
    [
        (None, "F/m/open_clip_config.json: has no model_cfg; copy it from where the model came from"),
        (
            {"text_cfg": {"hf_model_name": "xlm-roberta-base"}},
            "F/m: its text tower is built from 'xlm-roberta-base', which is not in the folder; needed OpenCLIP's",
        ),
        (
            {"multimodal_cfg": {}},
            "F/m: generates texts (multimodal_cfg); needed a network that compares images with texts",
        ),
    ],
)
def test_open_clip_networks_of_other_kinds_are_refused(
    copy_of: Callable[[str], Path], model_cfg: object, reason: str
) -> None:
    path = copy_of("open_clip_vit")
    rewritten(path / "open_clip_config.json", model_cfg=model_cfg)
    assert error_text(path) == reason


def test_naflex_siglip_2_and_a_network_with_one_tower_are_refused(copy_of: Callable[[str], Path]) -> None:
    path = copy_of("siglip")
    rewritten(path / "config.json", model_type="siglip2", architectures=["Siglip2Model"])
    needed = "needed clip, chinese_clip, siglip with both towers, or a folder with open_clip_config.json"
    assert error_text(path) == f"F/m/config.json: found model_type 'siglip2' of ['Siglip2Model'], {needed}"
    rewritten(path / "config.json", model_type="siglip", architectures=["SiglipForImageClassification"])
    assert error_text(path, "zero_shot") == (
        f"F/m/config.json: found model_type 'siglip' of ['SiglipForImageClassification'], {needed}"
    )
    assert error_text(path.parent / "m/config.json", "zero_shot") == (
        "F/config.json: not a folder; needed one with config.json or open_clip_config.json"
    )


def test_transformers_own_files_come_before_open_clips(copy_of: Callable[[str], Path], shelf: Path) -> None:
    """Hugging Face has folders that hold a network twice, in both layouts."""
    path = copy_of("clip")
    for name in ("open_clip_config.json", "open_clip_model.safetensors"):
        shutil.copy(shelf / "open_clip_vit" / name, path)
    assert not any(name.startswith("open_clip") for name in describe(path).files)


def test_a_classifier_of_a_clip_family_is_not_zero_shot(copy_of: Callable[[str], Path]) -> None:
    path = copy_of("siglip")
    rewritten(path / "config.json", architectures=["SiglipForImageClassification"])
    assert describe(path).loader == "transformers"


def test_a_folder_that_was_added_answers_without_its_text_tower(shelf: Path, tmp_path: Path) -> None:
    folder = read_folder(zero_shot_folders.add_model(shelf / "siglip", tmp_path / "added"))
    (folder.path / "spiece.model").unlink()
    found = open_text_heads(folder, "", 1)
    assert found
    assert found.own_head.texts.shape == (3, 32)
