"""/openapi.json is true: it is valid, real answers fit it, and a fuzzer that believes it finds no lie, no failure."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import folders, images
from tests.local.worker_harness import JSON, PNG, WorkerProcess, environment, form, running
from worker.api.openapi import document
from worker.contract.settings import Settings

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
DOCUMENT = document(Settings.from_env(environment(Path(), 1)))
CONTRACT = schemathesis.openapi.from_dict(DOCUMENT)
RED = images.encoded(folders.image(folders.RED), "PNG")
RED_BASE64 = base64.b64encode(RED).decode()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    home = tmp_path_factory.mktemp("contract")
    with running(folders.fruit_folder(home / "fruit"), home / "log", MODEL="fruit") as process:
        yield process


def test_the_document_is_valid_openapi_3_1() -> None:
    assert CONTRACT.raw_schema["openapi"] == "3.1.0"
    CONTRACT.validate()


def test_the_worker_serves_this_document(worker: WorkerProcess) -> None:
    assert worker.ask("GET", "/openapi.json").json == DOCUMENT


def sent(name: str) -> tuple[str, bytes, dict[str, str]]:
    """Path, body and headers of a request as a client sends it, by its name."""
    multipart = form(("red.png", RED), ("cut.png", RED[:-99]), ("text", b"text"))
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [RED_BASE64]}
    best = [{"name": "scores", "parameters": {"classification": 2}}]
    described = {"inputs": [tensor], "outputs": best, "id": "one"}
    requests: dict[str, tuple[str, bytes, dict[str, str]]] = {
        "one image": ("/predict?top_k=2&labels=zh", RED, PNG),
        "an image in JSON": ("/predict", json.dumps({"inputs": RED_BASE64, "parameters": {"top_k": 1}}).encode(), JSON),
        "many images": ("/predict", *multipart),
        "a heat map": ("/predict?heat_map=true&class=3", RED, PNG),
        "a heat map alone": ("/predict?heat_map=true", RED, PNG | {"Accept": "image/png"}),
        "Hugging Face": ("/models/fruit?function_to_apply=none", RED, PNG),
        "infer": ("/v2/models/fruit/infer", json.dumps({"inputs": [tensor]}).encode(), JSON),
        "infer the best": ("/v2/models/fruit/versions/1/infer", json.dumps(described).encode(), JSON),
    }
    return requests[name]


OPERATIONS = {
    "one image": "/predict",
    "an image in JSON": "/predict",
    "many images": "/predict",
    "a heat map": "/predict",
    "a heat map alone": "/predict",
    "Hugging Face": "/models/{name}",
    "infer": "/v2/models/{name}/infer",
    "infer the best": "/v2/models/{name}/versions/{version}/infer",
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_real_answer_fits_the_document(worker: WorkerProcess, name: str) -> None:
    path, body, headers = sent(name)
    reply = requests.post(f"http://127.0.0.1:{worker.port}{path}", body, headers=headers, timeout=60)
    assert reply.status_code == 200
    CONTRACT[OPERATIONS[name]]["POST"].validate_response(reply)


def test_a_document_that_lies_would_be_found(worker: WorkerProcess) -> None:
    lie = json.loads(json.dumps(DOCUMENT))
    lie["components"]["schemas"]["Prediction"]["properties"]["score"] = {"type": "string"}
    path, body, headers = sent("one image")
    reply = requests.post(f"http://127.0.0.1:{worker.port}{path}", body, headers=headers, timeout=60)
    with pytest.raises(Failure, match="Response violates schema"):
        schemathesis.openapi.from_dict(lie)["/predict"]["POST"].validate_response(reply)


def test_every_part_of_an_answer_that_a_model_may_give_is_seen_here(worker: WorkerProcess) -> None:
    (path, body, headers), answer = sent("a heat map"), DOCUMENT["components"]["schemas"]["Answer"]
    reply = requests.post(f"http://127.0.0.1:{worker.port}{path}", body, headers=headers, timeout=60)
    assert set(reply.json()) == set(answer["properties"])
    kinds = {type(found) for found in reply.json()["attributes"].values()}
    assert kinds == {dict, list}


@schemathesis.serializer("image/avif", "image/bmp", "image/tiff")  # type: ignore[untyped-decorator]
def as_it_is(context: schemathesis.SerializationContext, value: bytes) -> bytes:
    """Three types that the fuzzer does not know to be bytes."""
    return value


@CONTRACT.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=6, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_the_document_allows_is_answered_as_it_says(case: schemathesis.Case, worker: WorkerProcess) -> None:
    if case.path_parameters:
        case.path_parameters |= {"name": "fruit", "version": "1"}  # an unknown one would end every request at 404
    case.call_and_validate(base_url=f"http://127.0.0.1:{worker.port}", checks=CHECKS)
