"""Small zero-shot networks with random weights and vocabularies, saved by transformers and OpenCLIP."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import save_file

from tests.folders import SIZE
from worker.models import torchvision_ops

torchvision_ops.make_importable()
import open_clip  # noqa: E402
import transformers  # noqa: E402
from open_clip.tokenizer import bytes_to_unicode  # noqa: E402
from open_clip.transform import PreprocessCfg, image_transform_v2  # noqa: E402

LENGTH = 32  # tokens of a text
TOWER: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = TOWER | {"image_size": SIZE, "patch_size": 8}
THINGS = {"cat": "猫", "dog": "狗", "tea": "茶"}
SENTENCES = [text for en, zh in THINGS.items() for text in (f"a photo of a {en}.", f"一张{zh}的照片。")]
HALF = (0.5, 0.5, 0.5)


def clip(path: Path) -> Path:
    """Make a CLIP with byte-level BPE of five merges: vocab.json and merges.txt."""
    torch.manual_seed(0)
    letters, merges = list(bytes_to_unicode().values()), ["c a", "ca t</w>", "d o", "do g</w>", "p h"]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    last = len(words) - 1
    text = {"vocab_size": len(words), "bos_token_id": last - 1, "eos_token_id": last, "pad_token_id": last}
    config = transformers.CLIPConfig(text_config=_text(**text), vision_config=VISION, projection_dim=24)
    path.mkdir(parents=True)
    (path / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{merge}\n" for merge in merges))
    return _save(path, transformers.CLIPModel(config), transformers.CLIPImageProcessor(**_crop()))


def chinese_clip(path: Path) -> Path:
    """Make a Chinese-CLIP with a vocab.txt of characters."""
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set("".join(SENTENCES)) - {" "})]
    text = _text(vocab_size=len(words))
    config = transformers.ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
    path.mkdir(parents=True)
    (path / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    return _save(path, transformers.ChineseCLIPModel(config), transformers.ChineseCLIPImageProcessor(**_crop()))


def siglip(path: Path) -> Path:
    """Make a SigLIP with a SentencePiece model trained on a few sentences."""
    torch.manual_seed(0)
    path.mkdir(parents=True)
    (path / "spiece.model").write_bytes(_sentence_pieces())
    tokenizer = transformers.SiglipTokenizer(str(path / "spiece.model"), model_input_names=["input_ids"])
    tokenizer.save_pretrained(path)
    text = _text(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=1)
    network = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=VISION))
    with torch.no_grad():  # the initial values of training (arXiv:2303.15343, 3.2), with a tenth of the bias
        network.logit_scale.fill_(2.3)
        network.logit_bias.fill_(-1.0)
    size = {"height": SIZE, "width": SIZE}
    return _save(path, network, transformers.SiglipImageProcessor(size=size))


def open_clip_vit(path: Path) -> Path:
    """Make OpenCLIP's own CLIP, which needs no tokenizer files."""
    vision = {"image_size": SIZE, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16}
    text = {"context_length": LENGTH, "width": 32, "heads": 2, "layers": 2}
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    return _save_open_clip(path, {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}, {"mean": mean, "std": std})


def open_clip_siglip(path: Path) -> Path:
    """Make a folder like ViT-B-16-SigLIP-i18n-256: a timm network and a multilingual tokenizer of transformers."""
    pieces = sentencepiece.SentencePieceProcessor(model_proto=_sentence_pieces())
    vocabulary = [(pieces.id_to_piece(index), pieces.get_score(index)) for index in range(len(pieces))]
    path.mkdir(parents=True)
    transformers.T5TokenizerFast(vocab=vocabulary, extra_ids=0, pad_token="</s>").save_pretrained(path)  # noqa: S106
    vision = {"image_size": 160, "timm_model_name": "test_vit", "timm_model_pretrained": False}
    text = {
        "context_length": LENGTH, "vocab_size": len(vocabulary), "width": 64, "heads": 2, "layers": 2,
        "hf_tokenizer_name": "timm/ViT-B-16-SigLIP-i18n-256", "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6},
    }  # fmt: skip
    config = {
        "embed_dim": 64, "init_logit_bias": -1, "custom_text": True,
        "vision_cfg": vision | {"timm_pool": "map", "timm_proj": "none"}, "text_cfg": text,
    }  # fmt: skip
    preprocess = {"mean": HALF, "std": HALF, "interpolation": "bicubic", "resize_mode": "squash"}
    return _save_open_clip(path, config, preprocess)


FAMILIES: Mapping[str, Callable[[Path], Path]] = {
    family.__name__: family for family in (clip, chinese_clip, siglip, open_clip_vit, open_clip_siglip)
}


def library_logits(path: Path, pixels: torch.Tensor, texts: list[str]) -> torch.Tensor:
    """Return the logits [N, texts] that the library itself computes for normalised `pixels`."""
    if (path / "open_clip_config.json").is_file():
        network = open_clip.create_model(f"local-dir:{path}", require_pretrained=True).eval()
        tokens = open_clip.get_tokenizer(f"local-dir:{path}")(texts)
        with torch.inference_mode():
            return network.get_logits(pixels, tokens)[0]
    network = transformers.AutoModel.from_pretrained(path).eval()
    padding = "max_length" if network.config.model_type == "siglip" else True
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    tokens = tokenizer(texts, return_tensors="pt", padding=padding, max_length=LENGTH, truncation=True)
    with torch.inference_mode():
        return network(pixel_values=pixels, **tokens).logits_per_image


def library_pixels(path: Path, image: Any) -> torch.Tensor:
    """Return the image as the library's own preprocessing makes it, float32 [1, 3, H, W]."""
    if (path / "open_clip_config.json").is_file():
        config = json.loads((path / "open_clip_config.json").read_text())
        size = config["model_cfg"]["vision_cfg"]["image_size"]
        settings = PreprocessCfg(**{"size": size} | config["preprocess_cfg"])
        return image_transform_v2(settings, is_train=False)(image).unsqueeze(0)
    return transformers.AutoImageProcessor.from_pretrained(path)(image, return_tensors="pt").pixel_values


def _text(**options: Any) -> dict[str, Any]:
    return TOWER | {"max_position_embeddings": LENGTH} | options


def _crop() -> dict[str, Any]:
    return {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}


def _save(path: Path, network: Any, processor: Any) -> Path:
    network.save_pretrained(path)
    processor.save_pretrained(path)
    return path


def _save_open_clip(path: Path, config: Mapping[str, object], preprocess: Mapping[str, object]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    torch.manual_seed(0)
    state = open_clip.create_model(f"local-dir:{path}", load_weights=False).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, path / "open_clip_model.safetensors")
    return path


def _sentence_pieces() -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 20), model_writer=model, vocab_size=60, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
    )  # fmt: skip
    return model.getvalue()


def add_model(source: Path, out: Path, *arguments: str | Path) -> Path:
    """Fill `out` from `source` as `make model-add` does, with the labels of THINGS and more `arguments`; return it."""
    from scripts.models.tools import add
    from tests.options import model_add

    out.mkdir(parents=True)
    labels = []
    for language, lines in (("en", THINGS), ("zh", THINGS.values())):
        file = source.with_name(f"{language}.txt")
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        labels.append(f"{language}:{file}")
    flags = ("--source", source, "--name", out.name, "--labels", ",".join(labels))
    if status := add.main(out, model_add(*flags, *arguments)):
        raise AssertionError(f"model-add ended with {status}")
    return out
