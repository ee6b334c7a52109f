"""The API view: the whole document, a form that sends requests, and programs that run as they are shown."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from scripts.cluster.config import ROOT
from tests.browser.conftest import Sample
from tests.browser.page import Page

METHODS = {"get", "post", "put"}
RUN = """
const [input, done] = arguments;
(async (file) => {{ {code} return answer; }})(input.files[0]).then(done, (fault) => done(`${{fault}}`));
"""


@pytest.fixture
def api(page: Page) -> Page:
    page.click("#views [href='#api']")
    page.wait(lambda: page.all("#view-api .operation"))
    return page


def opened(api: Page, operation: str) -> str:
    """The selector of an operation's entry, opened by a click."""
    entry = f"#api-{operation}"
    if not api.shown(f"{entry} form"):
        api.click(f"{entry} > summary")
        api.wait(lambda: api.shown(f"{entry} form"))
    return entry


def sent(api: Page, operation: str) -> str:
    """The status line after the operation's form was sent."""
    api.click(f"#api-{operation} form button")
    api.wait(lambda: " · " in api.text(f"#api-{operation} .trial-status"))
    return api.text(f"#api-{operation} .trial-status")


def answer(api: Page, operation: str) -> object:
    return json.loads(api.text(f"#api-{operation} .trial-answer > pre"))


OPEN_ALL = "for (const entry of document.querySelectorAll('.operation:not([open]) > summary')) entry.click()"


def test_every_operation_is_there_and_speaks_both_languages(page: Page, endpoint: str) -> None:
    page.driver.get("about:blank")
    page.driver.get(f"{endpoint}/#api/get-models")
    page.wait(lambda: page.all("#api-get-models[open]"))  # the address of an operation opens it
    document = requests.get(f"{endpoint}/openapi.json", timeout=60).json()
    expected = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods if m in METHODS}
    shown = list(zip(page.texts(".operation .method"), page.texts(".operation > summary > code"), strict=True))
    assert (len(shown), set(shown)) == (len(expected), expected)
    codes = document["components"]["schemas"]["ErrorCode"]["enum"]
    assert page.texts(".errors th code") == codes
    page.run(OPEN_ALL)
    assert "object Object" not in page.text("#view-api")
    assert "undefined" not in page.text("#view-api")
    opened = len(page.all(".operation[open]"))
    page.switch_to("zh")
    assert all(any("一" <= letter <= "鿿" for letter in said) for said in page.texts(".operation > summary > .quiet"))
    assert all(any("一" <= letter <= "鿿" for letter in said) for said in page.texts(".errors tbody td:last-child"))
    assert len(page.all(".operation[open]")) == opened == len(expected) + 1, "what was open stays open"
    assert page.console() == []


WITH_JSON = ("post-predict", "post-models-name", "post-v2-models-name-infer", "post-v1-models-name-predict")


def test_files_and_json_are_sent_by_the_forms_and_the_answers_shown_as_what_they_are(
    api: Page, samples: list[Sample]
) -> None:
    entry = opened(api, "post-predict")
    api.click(f"{entry} form button")
    assert api.text(f"{entry} .trial-status") == "Choose a file first."
    api.type(f"{entry} input[type=file]", str(samples[0].path))
    api.type(f"{entry} .trial-parameters input", "1")
    assert sent(api, "post-predict").startswith("200 OK · ")
    found = answer(api, "post-predict")
    assert isinstance(found, dict)
    assert [one["label_en"] for one in found["predictions"]] == [samples[0].en]
    assert f"x-request-id: {found['request_id']}" in api.text(f"{entry} .trial-answer details pre")
    kinds = f"{entry} form > .trial-field select"
    api.pick(kinds, api.texts(f"{kinds} option")[1])
    api.type(f"{entry} .trial-field:not([hidden]) input[type=file]", str(samples[1].path))
    assert sent(api, "post-predict").startswith("200 OK · ")
    for operation in WITH_JSON:  # the JSON that a form begins with is answered
        kinds = f"{opened(api, operation)} form > .trial-field select"
        for last in api.texts(f"{kinds} option:last-child"):
            api.pick(kinds, last)
        assert sent(api, operation).startswith("200 OK · "), operation
    api.clear(f"{entry} textarea")
    api.type(f"{entry} textarea", '{"inputs": "no image"}')
    assert sent(api, "post-predict").startswith("415 ")
    found = answer(api, "post-predict")
    assert isinstance(found, dict)
    assert found["error"]["code"] == "unsupported_type"
    image = f"{opened(api, 'get-models-name-examples-number')} .trial-answer img"
    assert sent(api, "get-models-name-examples-number").startswith("200 OK")
    api.wait(lambda: api.value(image, "naturalWidth"))


def shown_code(api: Page, key: str) -> str:
    api.click(f"#code-{key}")
    return api.text("#code")


def test_the_programs_run_as_they_are_shown_and_are_copied(api: Page, samples: list[Sample], tmp_path: Path) -> None:
    api.allow_the_clipboard()
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT / "scripts/client")}
    for key in ("curl", "requests", "client"):
        shutil.copy(samples[0].path, tmp_path / "photo.jpg")
        code = shown_code(api, key)
        command = ["sh", "-c", code] if key == "curl" else [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert samples[0].en in done.stdout
        (tmp_path / "photo.jpg").write_text("no image")
        refused = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert refused.returncode != 0, key
    api.click(".code .copy")
    api.wait(lambda: api.text(".code .copy") == "Copied")
    assert api.copied() == code
    code = shown_code(api, "javascript")
    field = f"{opened(api, 'post-predict')} input[type=file]"
    api.type(field, str(samples[0].path))
    found = api.driver.execute_async_script(RUN.format(code=code), api.one(field))
    assert found["predictions"][0]["label_en"] == samples[0].en
    assert samples[0].en in "".join(api.console())


def test_the_document_is_said_to_be_missing_and_comes_by_itself(page: Page) -> None:
    with page.network(offline=True):
        page.click("#views [href='#api']")
        page.wait(lambda: page.text("#view-api .trouble").startswith("The description could not be loaded"))
        assert page.text("#code").startswith("curl ")
    page.wait(lambda: page.all("#view-api .operation"))
