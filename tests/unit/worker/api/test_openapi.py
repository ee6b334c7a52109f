"""The OpenAPI document against what the worker is made of: routes, parameters, errors and limits."""

import json
import pkgutil
import re
from importlib import import_module

import pytest

from scripts.cluster.config import ROOT
from tests.unit.worker.contract.test_settings import COMPLETE
from worker.api import routes as package
from worker.api.openapi import document
from worker.api.operations import NOT_TO_IMAGES
from worker.api.parameters import HUGGING_FACE, PREDICT, Parameters
from worker.api.routes import triton
from worker.api.schemas import PARAMETERS
from worker.app import create_app
from worker.contract.error_codes import ErrorCode, Sender
from worker.contract.languages import BOTH, PATTERN
from worker.contract.settings import Settings
from worker.decode import MIME_TYPES
from worker.models.labels import LANGUAGES

SETTINGS = Settings.from_env(COMPLETE | {"WANWU_MAX_IMAGES": "7"})
DOCUMENT = document(SETTINGS)
INDEX = "/v2/repository/index"  # takes no image
POSTS = {path: methods["post"] for path, methods in DOCUMENT["paths"].items() if "post" in methods and path != INDEX}
INSIDE_ONLY = {("get", "/metrics"), ("get", "/golden")}  # not part of the contract with clients


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    rules = create_app(SETTINGS).url_map.iter_rules()
    routes = {
        (method.lower(), re.sub(r"<(?:int:)?(\w+)>", r"{\1}", rule.rule))
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert routes - INSIDE_ONLY == documented


def test_every_module_of_routes_is_listed() -> None:
    found = {import_module(f"{package.__name__}.{module.name}") for module in pkgutil.iter_modules(package.__path__)}
    assert {module for module in found if hasattr(module, "blueprint")} == {*package.APIS, triton}


def test_the_gateway_leads_every_documented_route_to_whoever_answers_it() -> None:
    """Another path would be a file's, of which there is none."""
    conf = (ROOT / "nginx/routes.conf").read_text(encoding="utf-8")
    named = [f"^{re.escape(path)}$" for path in re.findall(r"^location = (\S+) \{", conf, re.MULTILINE)]
    answered = re.findall(r"^location ~ (\S+) \{", conf, re.MULTILINE) + named
    paths = {path: re.sub(r"{\w+}", "1", path) for path in DOCUMENT["paths"]}
    nowhere = [path for path, asked in paths.items() if not any(re.search(one, asked) for one in answered)]
    assert nowhere == []


@pytest.mark.parametrize("path", POSTS)
def test_every_status_of_the_contract_is_documented_with_its_retry_after(path: str) -> None:
    responses = POSTS[path]["responses"]
    of_keys = [ErrorCode.UNAUTHORIZED, ErrorCode.FORBIDDEN]
    codes = [code for code in ErrorCode if code.sender is not Sender.GATEWAY and code not in NOT_TO_IMAGES] + of_keys
    assert set(responses) == {"200", *(str(code.status) for code in codes)}
    assert all(code.value in responses[str(code.status)]["description"].split(", ") for code in codes)
    retried = {status for status, response in responses.items() if "Retry-After" in response["headers"]}
    assert retried == {str(code.status) for code in codes if code.retry_after_s} == {"429", "503"}


def test_both_headers_of_a_key_are_described_and_neither_is_required() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {(scheme["type"], scheme.get("scheme"), scheme.get("name")) for scheme in schemes.values()} == {
        ("http", "bearer", None),
        ("apiKey", None, "X-API-Key"),
    }
    assert DOCUMENT["security"] == [{}, *({name: []} for name in schemes)]


def test_the_codes_are_an_enum_that_says_what_each_means() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["ErrorCode"]["enum"] == [code.value for code in ErrorCode]
    assert all(code.meaning in schemas["ErrorCode"]["description"] for code in ErrorCode)
    named = {"$ref": "#/components/schemas/ErrorCode"}
    assert schemas["Error"]["properties"]["error"]["properties"]["code"] == named
    assert schemas["ProtocolError"]["properties"]["code"] == named


def test_parameters_stand_in_the_query_and_in_every_body() -> None:
    predict, hub = POSTS["/predict"], POSTS["/models/{name}"]
    content = predict["requestBody"]["content"]
    assert [one["name"] for one in predict["parameters"]] == list(PREDICT)
    assert list(content["multipart/form-data"]["schema"]["properties"]) == ["image", *PREDICT]
    assert list(content["application/json"]["schema"]["properties"]["parameters"]["properties"]) == list(PREDICT)
    assert [one["name"] for one in hub["parameters"]] == ["name", *HUGGING_FACE]


def test_defaults_limits_and_types_are_the_workers_own() -> None:
    predict = POSTS["/predict"]
    schemas = {one["name"]: one["schema"] for one in predict["parameters"]}
    own = Parameters()
    assert {name: schema["default"] for name, schema in schemas.items() if "default" in schema} == {
        "labels": own.labels, "heat_map": own.heat_map
    }  # fmt: skip
    assert f", {own.top_k} where" in schemas["top_k"]["description"]
    assert f", {own.threshold:g} where" in schemas["threshold"]["description"]
    assert predict["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]["image"]["maxItems"] == 7
    assert set(MIME_TYPES.values()) <= set(predict["requestBody"]["content"])


def test_any_language_that_a_model_may_have_labels_in_can_be_asked_for() -> None:
    pattern = PARAMETERS["labels"]["pattern"]
    assert all(re.search(pattern, wanted) for wanted in (*LANGUAGES, BOTH, "ja"))
    assert not re.search(pattern, "en_GB")
    assert pattern == f"^({PATTERN}|{BOTH})$"
    assert f"^label_{PATTERN}$" in DOCUMENT["components"]["schemas"]["Prediction"]["patternProperties"]


def test_every_reference_leads_somewhere() -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert named == set(DOCUMENT["components"]["schemas"])
