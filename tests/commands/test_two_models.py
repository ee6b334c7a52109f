"""`make up` with two models, one of which needs torch: what it prints, serves, and takes away again."""

import json
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from scripts.cluster.config import load_cluster
from scripts.cluster.models import read_models
from tests.commands.services import PATIENT, make_here, processes
from tests.folders import torchvision_folder
from tests.service import PHOTOS, Service, create, table
from worker.models.folder import read_folder

READY_LINE = re.compile(r"ready: (http://127\.0\.0\.1:\d+)/")


@dataclass(frozen=True)
class Pair:
    """A service of `photos` and of `small`, which needs torch, and what `make up` printed."""

    service: Service
    small: Path
    printed: str


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    small = torchvision_folder(tmp_path_factory.mktemp("torch") / "small")
    service = create(tmp_path_factory.mktemp("pair"), PHOTOS + table("small", small), PATIENT)
    yield Pair(service, small, service.up())
    service.down()


def test_up_ends_with_the_endpoint_a_curl_line_and_the_answer_in_both_languages(pair: Pair) -> None:
    service, printed = pair.service, pair.printed
    golden = read_models(load_cluster(service.cluster))["photos"].golden
    curl = next(line.strip() for line in printed.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(shlex.split(curl), cwd=service.root, capture_output=True, text=True, check=True).stdout
    best = json.loads(answer)["predictions"][0]
    assert str(golden.relative_to(service.root)) in curl
    assert READY_LINE.search(printed).group(1) == service.endpoint  # type: ignore[union-attr]
    assert f"{best['score']:7.1%}  {best['label_zh']}  {best['label_en']}" in printed
    assert re.search(r"[\u4e00-\u9fff]", best["label_zh"])


def test_two_models_are_reached_by_name_and_the_first_is_the_default(pair: Pair) -> None:
    image = (pair.small / "golden/one.png").read_bytes()
    asked = {"default": "/predict", "photos": "/predict?model=photos", "small": "/predict?model=small"}
    answers = {name: _post(pair.service, path, image).json() for name, path in asked.items()}
    assert {name: answer["worker"] for name, answer in answers.items()} == {
        "default": "photos-0", "photos": "photos-0", "small": "small-0"
    }  # fmt: skip
    assert answers["small"]["predictions"][0]["index"] == read_folder(pair.small).golden[0].index
    unknown = _post(pair.service, "/predict?model=nope", image)
    assert unknown.status_code == 404
    assert unknown.json()["error"]["code"] == "unknown_model"
    assert "photos, small" in unknown.json()["error"]["message"]


def test_a_model_that_needs_torch_gets_it_and_the_others_do_not(pair: Pair) -> None:
    status = requests.get(f"{pair.service.endpoint}/status", timeout=60).json()
    assert {worker["worker"]: worker["engine"] for worker in status["workers"]} == {
        "photos-0": "openvino", "small-0": "torch"
    }  # fmt: skip


def test_down_leaves_no_process_no_port_and_no_file_but_the_logs(pair: Pair) -> None:
    service = pair.service
    assert len(processes(service)) == 2
    service.down()
    assert [path.name for path in service.run_dir.iterdir()] == ["logs"]
    assert not processes(service)
    assert sorted(path.name for path in service.cluster.parent.iterdir()) == ["cluster.toml", "run", "run.history"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", service.port)) != 0
    assert make_here(service, "down").stdout == "nothing is running\n"


def _post(service: Service, path: str, image: bytes) -> requests.Response:
    return requests.post(service.endpoint + path, data=image, headers={"Content-Type": "image/png"}, timeout=60)
