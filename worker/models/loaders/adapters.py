"""Refuse adapters, such as those of LoRA: a few weights that change a network which is not in the file."""

from collections.abc import Iterable
from pathlib import Path

from worker.contract.model_files import CONFIG, read_json
from worker.contract.toml_reader import ModelError

ADAPTER_CONFIG = "adapter_config.json"
PARTS = (".lora_A.", ".lora_B.", ".lora_embedding_A.", ".hada_w1_a", ".lokr_w1", ".lora_down.", ".lora_up.")


def refuse_adapter_folder(path: Path) -> None:
    """Raise ModelError if the folder `path` holds an adapter alone, or `path` is an adapter's weights."""
    folder = path if path.is_dir() else path.parent
    alone = path.is_dir() and not (path / CONFIG).is_file()
    if (folder / ADAPTER_CONFIG).is_file() and (alone or path.stem == "adapter_model"):
        base = str(read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "BASE")
        raise ModelError(_sentence(path, base, folder.name))


def refuse_adapter(keys: Iterable[str], path: Path) -> None:
    """Raise ModelError if one of the `keys` of the weights in `path` is an adapter's."""
    if any(part in key for key in keys for part in PARTS):
        raise ModelError(_sentence(path, "BASE", "ADAPTER"))


def _sentence(path: Path, base: str, adapter: str) -> str:
    return (
        f"{path}: found an adapter alone, needed it merged into its base network: with peft, "
        f"PeftModel.from_pretrained(AutoModelForImageClassification.from_pretrained({base!r}), {adapter!r})"
        ".merge_and_unload().save_pretrained('merged'); "
        "copy the base's preprocessor_config.json there, and add that folder"
    )
