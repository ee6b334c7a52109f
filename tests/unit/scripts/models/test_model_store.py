"""The list of this machine's model folders."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.models import model_store
from scripts.models.model_store import StoredModel

PHOTOS = ROOT / "worker/photos"


def cluster_serving(**folders: Path) -> Cluster:
    """A cluster that serves `folders` by name; `__` stands for "-"."""
    tables = (f'[[models]]\nname = "{name.replace("__", "-")}"\nfolder = "{path}"\n' for name, path in folders.items())
    return parse_cluster("".join(tables), "c.toml")


def test_the_folders_in_models_come_first_and_none_is_listed_twice(models: Path) -> None:
    cluster = cluster_serving(photos=PHOTOS, one=models / "copy", two=models / "../models/copy")
    assert model_store.entries(models, cluster) == [
        StoredModel("copy", models / "copy", ("one", "two")),
        StoredModel("empty", models / "empty"),
        StoredModel("photos", PHOTOS, ("photos",)),
    ]


def test_a_missing_models_folder_counts_as_empty(tmp_path: Path) -> None:
    assert model_store.entries(tmp_path / "none", cluster_serving(photos=PHOTOS)) == [
        StoredModel("photos", PHOTOS, ("photos",))
    ]


def test_a_model_is_selected_by_its_folder_or_by_a_served_name() -> None:
    stored = [StoredModel("a", Path("/a"), ("first", "second")), StoredModel("b", Path("/b"))]
    assert model_store.select(stored, "") == stored
    assert model_store.select(stored, "a") == model_store.select(stored, "second") == stored[:1]
    with pytest.raises(CommandError) as caught:
        model_store.select(stored, "c")
    assert caught.value.lines == ("NAME: found 'c', needed one of a, b, first, second",)
