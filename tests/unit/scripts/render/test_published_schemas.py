"""What we render for others, against the schemas that their projects publish; packages carry these."""

import kubernetes_validate
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.cluster.config import ROOT, load_cluster
from scripts.render.kubernetes import Pod, render
from tests.unit.scripts.bundle.test_bundle import bill


@pytest.mark.parametrize("gpu", [False, True])
def test_manifests_are_valid_kubernetes_without_unknown_fields(gpu: bool) -> None:
    cluster = load_cluster(ROOT / "compose/cluster.toml")
    texts = render(cluster, {model.name: Pod("worker:1", 1, 10**9, gpu) for model in cluster.models}, "gateway:0")
    listed = [each for text in texts.values() for each in yaml.safe_load_all(text)]
    kinds = [each["kind"] for each in listed]
    assert sorted(set(kinds)) == [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Service",
    ]
    for each in listed:
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)


def test_the_bill_of_materials_is_valid_cyclonedx() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(bill()) is None
