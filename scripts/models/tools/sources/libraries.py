"""torchvision's and timm's pretrained weights, from the addresses in their metadata."""

import os

import timm
from timm.models import get_pretrained_cfg
from torchvision import models

from scripts.models.tools.sources import MIRRORS, FetchError, Plan, hugging_face
from scripts.models.tools.sources.http import plan as plan_address
from worker.models.loaders.torchvision import ARCHITECTURES, HASH_IN_NAME

PYTORCH = "https://download.pytorch.org"


def torchvision_plan(architecture: str, revision: str = "") -> Plan:
    """Return a plan for the weights called `revision`, such as IMAGENET1K_V1, or for torchvision's default."""
    if architecture not in ARCHITECTURES:
        raise FetchError(f"SOURCE: torchvision has no classification architecture {architecture!r}")
    published = models.get_model_weights(architecture)
    names = [weights.name for weights in published]
    if revision and revision not in names:
        raise FetchError(f"REVISION: found {revision!r}, needed one of {', '.join(names)}")
    weights = published[revision] if revision else published.DEFAULT
    mirror = os.environ.get(MIRRORS["torchvision"], "").rstrip("/")
    address = weights.url.replace(PYTORCH, mirror, 1) if mirror else weights.url
    source = f"torchvision:{architecture}@{weights.name}"
    return plan_address(address, _digest(weights.url), source, "torchvision", architecture)


def timm_plan(name: str, revision: str = "") -> Plan:
    """Return a plan for what timm itself would load for `name`: a repository of the Hub, or else a file."""
    try:
        config = get_pretrained_cfg(name) if timm.is_model(name) else None
    except RuntimeError:  # a known architecture with an unknown name of weights
        config = None
    if config is None or not (config.hf_hub_id or config.url):
        raise FetchError(f"SOURCE: timm has no weights for {name!r}")
    if config.hf_hub_id:
        return hugging_face.plan(config.hf_hub_id, revision, "timm")
    if revision:
        raise FetchError(
            f"REVISION: found {revision!r}, but timm's weights for {name!r} have no revisions: leave it out"
        )
    return plan_address(config.url, _digest(config.url), f"timm:{name}", "timm", name)


def _digest(address: str) -> str:
    """Return the first digits of the sha256, which both libraries write into the file's name."""
    match = HASH_IN_NAME.search(address.rpartition("/")[2])
    return f"sha256:{match[1]}" if match else ""
