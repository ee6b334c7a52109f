"""What Kustomize makes of the base and the overlay of `make k8s`: valid objects that lead to one another."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from scripts.cluster.config import ROOT, parse_cluster
from scripts.render.kubernetes import BASE, Pod, render
from worker.contract.cpu_list import parse_cpu_list

TEXT = 'port = 9001\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n[[models]]\nname = "two.b"\nfolder = "/m"\n'
KUSTOMIZE = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
NAME = "app.kubernetes.io/name"
Objects = dict[tuple[str, str], dict[str, Any]]

needs_kustomize = pytest.mark.skipif(
    shutil.which(KUSTOMIZE[0]) is None, reason="found neither kustomize nor kubectl, which build what is applied"
)


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Every object by kind and name, as `kubectl apply` would send it."""
    pods = {"photos": Pod("worker:1", 2, 10**9, False), "two.b": Pod("cuda:2", 4, 10**10, True)}
    for name, text in render(parse_cluster(TEXT, "c.toml"), pods, "gateway:0", tmp_path).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    built = subprocess.run([*KUSTOMIZE, tmp_path], capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(built.stdout)}


def names(objects: Objects, kind: str) -> set[str]:
    return {name for found, name in objects if found == kind}


@needs_kustomize
def test_every_object_is_valid_without_unknown_fields(objects: Objects) -> None:
    for each in objects.values():
        kubernetes_validate.validate(each, kubernetes_validate.latest_version(), strict=True)
    workers = {"wanwu-worker-photos", next(name for name in names(objects, "Deployment") if "two-b" in name)}
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        assert names(objects, kind) == workers | {"wanwu-gateway"}
    assert names(objects, "HorizontalPodAutoscaler") == workers
    assert len(objects) == 3 * 3 + 2 + 1


@needs_kustomize
def test_every_selector_chooses_the_pods_of_its_own_deployment_and_no_others(objects: Objects) -> None:
    for name in names(objects, "Deployment"):
        spec = objects["Deployment", name]["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert labels == {NAME: name, "app.kubernetes.io/part-of": "wanwu"}
        (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
        selectors = [
            spec["selector"]["matchLabels"],
            objects["Service", name]["spec"]["selector"],
            objects["PodDisruptionBudget", name]["spec"]["selector"]["matchLabels"],
            spread["labelSelector"]["matchLabels"],
        ]
        assert all(selector[NAME] == name and selector.items() <= labels.items() for selector in selectors)
    for name in names(objects, "HorizontalPodAutoscaler"):
        target = objects["HorizontalPodAutoscaler", name]["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) == ("Deployment", name)


@needs_kustomize
def test_the_overlay_reaches_what_it_means(objects: Objects) -> None:
    (members,) = names(objects, "ConfigMap")
    gateway = objects["Deployment", "wanwu-gateway"]["spec"]["template"]["spec"]
    assert gateway["volumes"][0] == {"name": "members", "configMap": {"name": members}}
    assert '"photos"' in objects["ConfigMap", members]["data"]["members.json"]
    assert [port["port"] for port in objects["Service", "wanwu-gateway"]["spec"]["ports"]] == [9001]
    images = {
        objects["Deployment", name]["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in names(objects, "Deployment")
    }
    assert images == {"gateway:0", "worker:1", "cuda:2"}
    (worker,) = objects["Deployment", "wanwu-worker-photos"]["spec"]["template"]["spec"]["containers"]
    variables = [each["name"] for each in worker["env"]]
    assert {"WANWU_WORKER", "WANWU_MODEL", "WANWU_QUEUE"} <= set(variables)
    assert len(variables) == len(set(variables))
    assert worker["resources"]["requests"] == worker["resources"]["limits"] == {"cpu": "2", "memory": "1000000000"}


@pytest.mark.parametrize("gpu", ["", "GPU-1234"])
def test_a_worker_reads_its_cpus_and_its_gpu_inside_its_pod(gpu: str, tmp_path: Path) -> None:
    deployment = next(yaml.safe_load_all((BASE / "worker/worker.yaml").read_text()))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (tmp_path / "python3").write_text('#!/bin/sh\necho "$WANWU_CPUS $WANWU_GPU|$*"\n')
    (tmp_path / "python3").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **({"NVIDIA_VISIBLE_DEVICES": gpu} if gpu else {})}
    done = subprocess.run(container["command"], capture_output=True, text=True, env=environ, check=True)
    place, _, arguments = done.stdout.strip().partition("|")
    cpus, _, found = place.partition(" ")
    assert (set(parse_cpu_list(cpus)), found) == (os.sched_getaffinity(0), gpu)
    assert arguments == "-m gunicorn -c worker/gunicorn.conf.py worker.app:create_app()"
    assert all(word in (ROOT / "worker/Dockerfile").read_text() for word in arguments.split()[1:])
