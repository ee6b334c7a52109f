"""Tests of the Kustomize base and of the overlay of `make k8s`, against what worker, gate and images require."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from nginx.gate.members import DiscoveredPool, parse_members
from scripts.base.errors import CommandError
from scripts.bootstrap import places
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.commands.k8s import write
from scripts.host import docker
from scripts.render import swarm
from scripts.render.kubernetes import BASE, NOTICE, VOLUME, Pod, render
from worker.contract.schemas import MEMBERS
from worker.contract.settings import EXIT, SETTINGS, offline_variables
from worker.process.metrics import create_metrics

TEXT = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n[[models]]\nname = "two.b"\nfolder = "/m/two"\n'
OUT = Path("/somewhere/else")
USER = 10001
Manifest = dict[str, Any]


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of images are those to build, as on a machine without Docker."""
    monkeypatch.setattr(docker, "image_id", lambda _: "")
    monkeypatch.setattr(docker, "tags", lambda _: [])


@pytest.fixture
def cluster() -> Cluster:
    return parse_cluster(f"port = 9001\n{TEXT}", "c.toml")


@pytest.fixture
def overlay(cluster: Cluster) -> dict[str, Manifest]:
    """Return the content of every rendered file."""
    pods = {"photos": Pod("worker:1", 2, 10**9, False), "two.b": Pod("cuda:2", 4, 10**10, True)}
    texts = render(cluster, pods, "gateway:0", OUT)
    assert all(text.startswith(NOTICE) for name, text in texts.items() if name != "members.json")
    return {name: yaml.safe_load(text) for name, text in texts.items()}


def base(name: str) -> dict[str, Manifest]:
    """Return the objects of a base by kind."""
    objects = yaml.safe_load_all((BASE / name / f"{name}.yaml").read_text())
    return {each["kind"]: each for each in objects}


def pod(name: str) -> Manifest:
    spec: Manifest = base(name)["Deployment"]["spec"]["template"]["spec"]
    return spec


# --- The overlay ----------------------------------------------------------------------------------------------------


def test_the_overlay_names_the_base_and_a_folder_for_each_model(overlay: dict[str, Manifest]) -> None:
    gateway, photos, two = (name for name in overlay if name.endswith("kustomization.yaml"))
    assert (photos, two.startswith("two-b-")) == ("photos/kustomization.yaml", True)
    resources = overlay[gateway]["resources"]
    assert (OUT / resources[0]).resolve() == BASE / "gateway"
    assert [f"{name}/kustomization.yaml" for name in resources[1:]] == [photos, two]
    for name in (photos, two):
        (worker,) = overlay[name]["resources"]
        assert (OUT / Path(name).parent / worker).resolve() == BASE / "worker"


def test_images_and_port_come_from_the_cluster(overlay: dict[str, Manifest]) -> None:
    assert [each["images"] for name, each in overlay.items() if name.endswith("kustomization.yaml")] == [
        [{"name": "wanwu-gateway", "newName": "gateway", "newTag": "0"}],
        [{"name": "wanwu-worker", "newName": "worker", "newTag": "1"}],
        [{"name": "wanwu-worker", "newName": "cuda", "newTag": "2"}],
    ]
    assert {pod(name)["containers"][0]["image"] for name in ("gateway", "worker")} == {"wanwu-gateway", "wanwu-worker"}
    (patch,) = overlay["kustomization.yaml"]["patches"]
    assert json.loads(patch["patch"]) == [{"op": "replace", "path": "/spec/ports/0/port", "value": 9001}]
    assert base("gateway")["Service"]["spec"]["ports"][0]["port"]


def test_the_members_list_has_the_service_of_every_model(overlay: dict[str, Manifest]) -> None:
    pools = parse_members(json.dumps(overlay["members.json"]))
    assert overlay["members.json"]["schema"] == MEMBERS
    suffixes = [each["nameSuffix"] for each in overlay.values() if "nameSuffix" in each]
    service = base("worker")["Service"]
    assert list(pools) == ["photos", "two.b"]
    for (model, pool), suffix in zip(pools.items(), suffixes, strict=True):
        assert isinstance(pool, DiscoveredPool)
        assert pool.address == f"{service['metadata']['name']}{suffix}:{service['spec']['ports'][0]['port']}", model
    assert overlay["kustomization.yaml"]["configMapGenerator"] == [
        {"name": pod("gateway")["volumes"][0]["configMap"]["name"], "files": ["members.json"]}
    ]


def test_pods_are_guaranteed_and_have_whole_cpus_or_one_gpu(overlay: dict[str, Manifest]) -> None:
    found = [
        each["spec"]["template"]["spec"]["containers"][0]["resources"]
        for name, each in overlay.items()
        if name.endswith("worker.yaml")
    ]
    assert found == [
        {"requests": resources, "limits": resources}
        for resources in (
            {"cpu": "2", "memory": "1000000000"},
            {"cpu": "4", "memory": "10000000000", "nvidia.com/gpu": "1"},
        )
    ]


def test_a_worker_gets_every_required_setting_and_no_unknown_one(overlay: dict[str, Manifest]) -> None:
    own = overlay["photos/worker.yaml"]["spec"]["template"]["spec"]["containers"][0]["env"]
    common = pod("worker")["containers"][0]["env"]
    names = [each["name"] for each in [*own, *common]] + ["WANWU_CPUS", "WANWU_GPU"]
    assert len(names) == len(set(names))
    required = {setting.variable for setting in SETTINGS.values() if setting.default is None}
    of_the_file = {setting.variable for setting in SETTINGS.values() if setting.table is not None}
    assert required | of_the_file <= set(names) <= {setting.variable for setting in SETTINGS.values()}
    assert {"name": "WANWU_ON_LOAD_ERROR", "value": EXIT} in own
    assert {
        "name": "WANWU_BIND",
        "value": f"0.0.0.0:{pod('worker')['containers'][0]['ports'][0]['containerPort']}",
    } in own
    # Service links would add WANWU_..._SERVICE_HOST, an unknown setting that a worker refuses.
    assert [pod(name)["enableServiceLinks"] for name in ("gateway", "worker")] == [False, False]
    text = (ROOT / "worker/Dockerfile").read_text()
    assert all(f"{name}={value}" in text for name, value in offline_variables().items())


# --- The base -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_no_pod_runs_as_root_writes_to_its_root_or_uses_the_kubernetes_api(name: str) -> None:
    spec = pod(name)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert mounts == {volume["name"]: "emptyDir" not in volume for volume in spec["volumes"]}
    for file in ("worker/Dockerfile", "nginx/Dockerfile"):
        assert f"USER {USER}:{USER}\n" in (ROOT / file).read_text()


def test_folders_and_ports_match_those_of_a_swarm_worker() -> None:
    spec = pod("worker")
    (container,) = spec["containers"]
    paths = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert (paths["models"], paths["cache"]) == (swarm.VOLUME, swarm.CACHE)
    assert container["ports"] == [{"name": "http", "containerPort": swarm.PORT}]
    assert base("worker")["Service"]["spec"] == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "ports": [{"name": "http", "port": swarm.PORT, "targetPort": "http"}],
    }
    assert spec["volumes"][0]["hostPath"] == {"path": VOLUME, "type": "Directory"}
    assert str(places.VOLUME) == VOLUME


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_probes_request_livez_and_readyz(name: str) -> None:
    (container,) = pod(name)["containers"]
    probes = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("liveness", "readiness", "startup")}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    ready = "/readyz" if name == "worker" else "/livez"  # the gateway's /readyz is that of all models
    assert (probes["liveness"]["path"], probes["readiness"]["path"]) == ("/livez", ready)


def test_every_deployment_has_a_budget_and_workers_scale_by_an_existing_metric() -> None:
    assert {base(name)["PodDisruptionBudget"]["spec"]["maxUnavailable"] for name in ("gateway", "worker")} == {1}
    # The autoscaler sets the replicas; a manifest that states them would reset its choice.
    assert "replicas" not in base("worker")["Deployment"]["spec"]
    (metric,) = base("worker")["HorizontalPodAutoscaler"]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert create_metrics(lambda: 7, lambda: 1).registry.get_sample_value(name) == 7


def test_an_unwritable_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cluster = parse_cluster('[[models]]\nname = "photos"\nfolder = "worker/photos"\n', "c.toml")
    with pytest.raises(CommandError) as error:
        write(cluster, tmp_path / "file", gpu=False)
    assert error.value.lines == (f"{tmp_path / 'file'}: File exists: set a writable directory with OUT=",)


def test_keys_go_to_the_gateway_beside_its_members(tmp_path: Path) -> None:
    text = '[access]\nkeys = true\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
    write(parse_cluster(text, str(tmp_path / "cluster.toml")), tmp_path / "k8s", gpu=False)
    assert json.loads((tmp_path / "k8s/keys.json").read_text()) == {"keys": []}
    overlay = (tmp_path / "k8s/kustomization.yaml").read_text().partition("\n")[2]
    assert json.loads(overlay)["configMapGenerator"][0]["files"] == ["members.json", "keys.json"]
    assert json.loads((tmp_path / "k8s/members.json").read_text())["gateway"]["keys"] is True


def test_the_files_are_written_and_their_requirements_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = parse_cluster('[[models]]\nname = "photos"\nfolder = "worker/photos"\n', "c.toml")
    write(cluster, tmp_path / "k8s", gpu=False)
    files = ["kustomization.yaml", "members.json", "photos/kustomization.yaml", "photos/worker.yaml"]
    written = (path for path in (tmp_path / "k8s").rglob("*") if path.is_file())
    assert sorted(path.relative_to(tmp_path / "k8s").as_posix() for path in written) == files
    output = capsys.readouterr().out
    assert output.startswith(f"{tmp_path / 'k8s'}: {', '.join(files)}\nthe nodes need: wanwu-gateway:")
    assert output.endswith(f"\napply with: kubectl apply --kustomize {tmp_path / 'k8s'}\n")


@pytest.mark.parametrize(("port", "listen"), [(0, []), (9000, ["0.0.0.0:9145"])])
def test_a_gateway_s_pod_has_a_port_for_metrics_where_cluster_toml_has_one(
    tmp_path: Path, port: int, listen: list[str]
) -> None:
    text = f'[metrics]\nport = {port}\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
    write(parse_cluster(text, str(tmp_path / "cluster.toml")), tmp_path / "k8s", gpu=False)
    assert json.loads((tmp_path / "k8s/members.json").read_text())["gateway"]["metrics"]["listen"] == listen
