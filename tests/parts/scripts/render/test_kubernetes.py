"""Manifests for Kubernetes: what they promise, against what the worker, the gate and the images need."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts.render.kubernetes import COMMAND
from worker.contract.settings import parse_cpus


@pytest.mark.parametrize("gpu", ["", "GPU-1234"])
def test_a_worker_reads_its_cpus_and_its_gpu_inside_its_pod(gpu: str, tmp_path: Path) -> None:
    (tmp_path / "python3").write_text('#!/bin/sh\necho "$WANWU_CPUS $WANWU_GPU|$*"\n')
    (tmp_path / "python3").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **({"NVIDIA_VISIBLE_DEVICES": gpu} if gpu else {})}
    done = subprocess.run(["sh", "-c", COMMAND], capture_output=True, text=True, env=environ, check=True)
    place, _, arguments = done.stdout.strip().partition("|")
    cpus, _, found = place.partition(" ")
    assert (set(parse_cpus(cpus)), found) == (os.sched_getaffinity(0), gpu)
    assert arguments == "-m gunicorn -c worker/gunicorn.conf.py worker.app:create_app()"
