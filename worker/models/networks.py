"""The loaders that end in a torch network: one function a loader, told apart by `loader` in model.toml."""

from collections.abc import Callable

import torch

from worker.models import torchvision_ops
from worker.models.fields import ModelError
from worker.models.folder import ModelFolder


def load_network(folder: ModelFolder) -> torch.nn.Module:
    """The folder's network in eval mode: float32 [N, 3, H, W] -> float32 logits [N, classes]. Raises ModelError."""
    if folder.loader not in LOADERS:
        raise ModelError(
            f"{folder.path}: engine torch cannot run loader {folder.loader!r}; "
            f"it runs {', '.join(LOADERS)}: set [engine] name to the engine the folder was prepared for"
        )
    torchvision_ops.make_importable()
    return LOADERS[folder.loader](folder).eval()


def _torchvision(folder: ModelFolder) -> torch.nn.Module:
    """An architecture of torchvision with a state dict; the last layer has as many outputs as there are labels."""
    from torchvision.models import get_model, list_models

    if folder.architecture not in list_models():
        raise ModelError(f"{folder.path}: torchvision has no architecture {folder.architecture!r}")
    network = get_model(folder.architecture, weights=None, num_classes=folder.labels.count)
    _fill(network, _state_dict(folder), folder)
    return network


def _state_dict(folder: ModelFolder) -> dict[str, torch.Tensor]:
    try:
        state = torch.load(folder.weights, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever a damaged or unsafe file provokes
        reason = str(error).splitlines()[0]
        raise ModelError(f"{folder.weights}: not a state dict that can be loaded safely: {reason}") from error
    if not isinstance(state, dict):
        raise ModelError(f"{folder.weights}: found a {type(state).__name__}, needed a state dict")
    return state


def _fill(network: torch.nn.Module, state: dict[str, torch.Tensor], folder: ModelFolder) -> None:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{folder.weights}: does not fit {folder.architecture}: {error}") from error


class _Logits(torch.nn.Module):
    """A transformers classifier that returns its logits alone."""

    def __init__(self, classifier: torch.nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.classifier(pixel_values=pixels).logits


def _transformers(folder: ModelFolder) -> torch.nn.Module:
    """A local folder of transformers' own layout; every weight of the architecture must be in it."""
    from transformers import AutoModelForImageClassification

    try:
        classifier, found = AutoModelForImageClassification.from_pretrained(
            folder.weights, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except Exception as error:  # transformers raises whatever a damaged folder provokes
        reason = str(error).splitlines()[0]
        raise ModelError(f"{folder.weights}: not a folder that transformers can load: {reason}") from error
    missing = sorted(found["missing_keys"]) + sorted(key for key, *_ in found["mismatched_keys"])
    if missing:
        raise ModelError(f"{folder.weights}: weights missing or of another shape: {', '.join(missing[:8])}")
    return _Logits(classifier)


LOADERS: dict[str, Callable[[ModelFolder], torch.nn.Module]] = {
    "torchvision": _torchvision,
    "transformers": _transformers,
}
