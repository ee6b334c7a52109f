"""Manifests for Kubernetes: what they promise, against what the worker, the gate and the images need."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nginx.gate.members import Name, parse_members
from scripts.base.errors import Refusal
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.commands.k8s import write
from scripts.render.compose import PORT
from scripts.render.kubernetes import METRIC, USER, Pod, render
from worker.contract.settings import SETTINGS, offline_variables

TEXT = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n[[models]]\nname = "two.b"\nfolder = "/m/two"\n'
Manifests = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture
def cluster() -> Cluster:
    return parse_cluster(TEXT, "c.toml")


@pytest.fixture
def manifests(cluster: Cluster) -> Manifests:
    """Every object by kind and name."""
    pods = {"photos": Pod("worker:1", 2, 10**9, False), "two.b": Pod("cuda:2", 4, 10**10, True)}
    texts = render(cluster, pods, "gateway:0")
    listed = [each for text in texts.values() for each in yaml.safe_load_all(text)]
    return {(each["kind"], each["metadata"]["name"]): each for each in listed}


def pod(manifests: Manifests, name: str) -> dict[str, Any]:
    found: dict[str, Any] = manifests["Deployment", name]["spec"]["template"]["spec"]
    return found


def test_the_gate_follows_a_name_that_leads_to_every_worker_of_a_model(manifests: Manifests) -> None:
    pools = parse_members(manifests["ConfigMap", "wanwu-gateway"]["data"]["members.json"])
    for model, pool in pools.items():
        assert isinstance(pool, Name)
        service, _, port = pool.address.partition(":")
        spec = manifests["Service", service]["spec"]
        assert (spec["clusterIP"], spec["publishNotReadyAddresses"], int(port)) == ("None", True, PORT)
        template = manifests["Deployment", service]["spec"]["template"]
        assert spec["selector"] == template["metadata"]["labels"]
        told = {each["name"]: each.get("value") for each in template["spec"]["containers"][0]["env"]}
        assert (told["WANWU_MODEL"], told["WANWU_BIND"]) == (model, f"0.0.0.0:{port}")
    assert list(pools) == ["photos", "two.b"]


def test_a_worker_is_told_every_setting_it_must_have_and_none_it_does_not_know(manifests: Manifests) -> None:
    container = pod(manifests, "wanwu-worker-photos")["containers"][0]
    written = {each["name"] for each in container["env"]} | {"WANWU_CPUS", "WANWU_GPU"}
    required = {setting.variable for setting in SETTINGS.values() if setting.default is None}
    of_the_file = {setting.variable for setting in SETTINGS.values() if setting.table is not None}
    assert required | of_the_file <= written <= {setting.variable for setting in SETTINGS.values()}
    # Kubernetes would add WANWU_..._SERVICE_HOST, which a worker refuses.
    assert all(not pod(manifests, name)["enableServiceLinks"] for kind, name in manifests if kind == "Deployment")
    text = (ROOT / "worker/Dockerfile").read_text()
    assert all(f"{name}={value}" in text for name, value in offline_variables().items())
    assert all(word in text for word in ("gunicorn", "worker/gunicorn.conf.py", "worker.app:create_app()"))


def test_pods_are_guaranteed_with_whole_cpus_or_one_gpu(manifests: Manifests) -> None:
    gpus = next(name for kind, name in manifests if kind == "Deployment" and "two-b" in name)
    for name, wanted in (
        ("wanwu-worker-photos", {"cpu": "2", "memory": "1000000000"}),
        (gpus, {"cpu": "4", "memory": "10000000000", "nvidia.com/gpu": "1"}),
    ):
        resources = pod(manifests, name)["containers"][0]["resources"]
        assert resources["requests"] == resources["limits"] == wanted


def test_nothing_runs_as_root_or_writes_to_its_root_or_speaks_to_the_cluster(manifests: Manifests) -> None:
    names = [name for kind, name in manifests if kind == "Deployment"]
    assert len(names) == 3
    for name in names:
        spec = pod(manifests, name)
        assert spec["automountServiceAccountToken"] is False
        assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["runAsUser"]) == (True, USER)
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        mounts = {mount["name"]: mount["readOnly"] for mount in container["volumeMounts"]}
        given = {volume["name"]: volume for volume in spec["volumes"]}
        assert mounts == {name: "emptyDir" not in volume for name, volume in given.items()}
    for file in ("worker/Dockerfile", "nginx/Dockerfile"):
        assert f"USER {USER}:{USER}\n" in (ROOT / file).read_text()


def test_probes_ask_what_the_design_says(manifests: Manifests) -> None:
    for name in (name for kind, name in manifests if kind == "Deployment"):
        (container,) = pod(manifests, name)["containers"]
        asked = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("liveness", "readiness", "startup")}
        assert {probe: ask["port"] for probe, ask in asked.items()} == dict.fromkeys(asked, "http")
        assert (asked["liveness"]["path"], asked["readiness"]["path"]) == ("/livez", "/readyz")


def test_every_deployment_has_a_budget_and_workers_are_scaled_by_a_metric_that_they_have(manifests: Manifests) -> None:
    names = {name for kind, name in manifests if kind == "Deployment"}
    assert {name for kind, name in manifests if kind == "PodDisruptionBudget"} == names
    scaled = {name: each for (kind, name), each in manifests.items() if kind == "HorizontalPodAutoscaler"}
    assert scaled.keys() == names - {"wanwu-gateway"}
    # What an autoscaler counts, a manifest must not set.
    assert all("replicas" not in manifests["Deployment", name]["spec"] for name in scaled)
    (metric,) = scaled["wanwu-worker-photos"]["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == METRIC
    assert f'Gauge("{METRIC}"' in (ROOT / "worker/process/metrics.py").read_text()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = parse_cluster('[[models]]\nname = "photos"\nfolder = "worker/photos"\n', "c.toml")
    with pytest.raises(Refusal) as refusal:
        write(one, tmp_path / "file", gpu=False)
    assert refusal.value.lines == (f"{tmp_path / 'file'}: File exists: name a directory that can be written with OUT=",)


def test_the_files_are_written_and_what_they_need_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = parse_cluster('[[models]]\nname = "photos"\nfolder = "worker/photos"\n', "c.toml")
    write(one, tmp_path / "k8s", gpu=False)
    files = sorted(path.name for path in (tmp_path / "k8s").iterdir())
    assert files == ["wanwu-gateway.yaml", "wanwu-worker-photos.yaml"]
    said = capsys.readouterr().out
    assert said.startswith(f"{tmp_path / 'k8s'}: {', '.join(files)}\nneeded on the nodes: wanwu-gateway:")
    assert said.endswith(f"\napply with: kubectl apply --filename {tmp_path / 'k8s'}\n")
