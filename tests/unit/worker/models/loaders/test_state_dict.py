"""State dicts: read without running anything, unwrapped, and filled in strictly."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.unit.worker.models.loaders.model_errors import PickledCommand, model_error
from worker.models.loaders.state_dict import load_weights, read_checkpoint, read_state_dict

STATE = {"a": torch.ones(2), "b": torch.zeros(3)}
DAMAGED = "it is damaged or cut short, copy the file again"


def read(path: Path) -> dict[str, torch.Tensor]:
    return read_state_dict(path)


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[key], STATE[key]) for key in STATE)


def saved(path: Path, content: object, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in STATE.items()}


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE, "args": argparse.Namespace(lr=0.1), "best": np.float32(0.5), "curve": np.arange(3.0)},
        {"state_dict": {"a": torch.zeros(9)}, "state_dict_ema": STATE},
        {"model": {"state_dict": STATE}},
        prefixed("module."),
        {"model": prefixed("_orig_mod.module.")},
    ],
)
def test_a_state_dict_is_found_under_wrappers_and_prefixes(tmp_path: Path, content: object) -> None:
    assert same(read(saved(tmp_path / "w.pth", content)))


def test_the_format_of_torch_before_1_6_is_read(tmp_path: Path) -> None:
    assert same(read(saved(tmp_path / "w.pth", STATE, _use_new_zipfile_serialization=False)))


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    assert same(read(tmp_path / "w.safetensors"))


def test_plain_values_saved_with_the_weights_can_be_read(tmp_path: Path) -> None:
    found = read_checkpoint(saved(tmp_path / "w.pth", {"meta": {"CLASSES": ["猫"], "best": np.float64(0.5)}}))
    assert found["meta"] == {"CLASSES": ["猫"], "best": 0.5}


@pytest.mark.parametrize("new", [True, False])
def test_a_checkpoint_with_code_in_it_is_refused_and_nothing_is_run(tmp_path: Path, new: bool) -> None:
    content = {"state_dict": STATE, "hook": PickledCommand(tmp_path / "ran")}
    path = saved(tmp_path / "w.pth", content, _use_new_zipfile_serialization=new)
    assert model_error(tmp_path, lambda: read(path)) == (
        "F/w.pth: contains code and was not loaded: posix.system; "
        "save only its weights with torch.save(network.state_dict(), FILE)"
    )
    assert not (tmp_path / "ran").exists()


def test_a_pickled_network_is_refused_with_its_classes(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", torch.nn.Linear(2, 2))
    assert "contains code and was not loaded: torch.nn.modules.linear.Linear;" in model_error(
        tmp_path, lambda: read(path)
    )


def test_a_git_lfs_pointer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    assert model_error(tmp_path, lambda: read(path)) == (
        "F/w.safetensors: a Git LFS pointer, not the weights; fetch them with `git lfs pull`"
    )


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    assert model_error(tmp_path, lambda: read(tmp_path / "w.pth")) == "F/w.pth: no such file; check the path"


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1000)}, tmp_path / "w.safetensors")
    for path in (saved(tmp_path / "w.pth", {"a": torch.zeros(1000)}), tmp_path / "w.safetensors"):
        path.write_bytes(path.read_bytes()[:3000])
    assert model_error(tmp_path, lambda: read(tmp_path / "w.safetensors")) == (
        f"F/w.safetensors: cannot be read: Error while deserializing header: incomplete metadata, file not fully "
        f"covered; {DAMAGED}"
    )
    assert model_error(tmp_path, lambda: read(tmp_path / "w.pth")) == (
        f"F/w.pth: cannot be read: PytorchStreamReader failed reading zip archive: failed finding central directory; "
        f"{DAMAGED}"
    )


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", bytes(100)])
def test_a_file_of_something_else_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(data)
    found = model_error(tmp_path, lambda: read(tmp_path / "w.pth"))
    assert found.startswith("F/w.pth: cannot be read: ")
    assert found.endswith(DAMAGED)


def test_a_file_without_a_state_dict_is_refused(tmp_path: Path) -> None:
    tensor, mixed = saved(tmp_path / "t.pth", torch.zeros(3)), saved(tmp_path / "m.pth", STATE | {"epoch": 1})
    assert model_error(tmp_path, lambda: read(tensor)) == "F/t.pth: found a Tensor, needed a state dict"
    assert model_error(tmp_path, lambda: read(mixed)) == (
        "F/m.pth: needed a state dict of tensors only, found also epoch"
    )


def test_keys_that_differ_are_listed_and_refused(tmp_path: Path) -> None:
    network = torch.nn.ModuleDict({f"n{index}": torch.nn.Linear(1, 1, bias=False) for index in range(12)})
    state = {"n0.weight": torch.zeros(2, 1), "n1.weight": torch.ones(1, 1), "other": torch.zeros(1)}
    assert model_error(tmp_path, lambda: load_weights(network, state, tmp_path / "w.pth", "x")) == (
        "F/w.pth: does not fit x: missing: n2.weight, n3.weight, n4.weight, n5.weight, n6.weight, n7.weight, "
        "n8.weight, n9.weight and 2 more; unexpected: other; of another shape: n0.weight [2, 1] instead of [1, 1]"
    )
