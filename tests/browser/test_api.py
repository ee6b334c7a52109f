"""The API view: the whole document, a form that sends requests, and programs that run as they are shown."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from scripts.cluster.config import ROOT
from tests.browser.chromium import Page
from tests.browser.conftest import Sample

METHODS = {"get", "post", "put"}
RUN = """
const [input, done] = arguments;
(async (file) => {{ {code} return answer; }})(input.files[0]).then(done, (fault) => done(`${{fault}}`));
"""


@pytest.fixture
def api(page: Page) -> Page:
    page.one("#views [href='#api']").click()
    page.wait(lambda: page.all("#view-api .operation"))
    return page


def opened(api: Page, operation: str) -> WebElement:
    """The entry of an operation, opened by a click."""
    api.one(f"#api-{operation} > summary").click()
    api.wait(lambda: api.one(f"#api-{operation} form").is_displayed())
    return api.one(f"#api-{operation}")


def sent(api: Page, operation: str) -> str:
    """The status line after the operation's form was sent."""
    api.one(f"#api-{operation} form button").click()
    api.wait(lambda: " · " in api.text(f"#api-{operation} .trial-status"))
    return api.text(f"#api-{operation} .trial-status")


def answer(api: Page, operation: str) -> object:
    return json.loads(api.text(f"#api-{operation} .trial-answer > pre"))


def test_every_operation_is_there_and_speaks_both_languages(api: Page, endpoint: str) -> None:
    document = requests.get(f"{endpoint}/openapi.json", timeout=60).json()
    expected = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods if m in METHODS}
    shown = list(zip(api.texts(".operation .method"), api.texts(".operation > summary > code"), strict=True))
    assert (len(shown), set(shown)) == (len(expected), expected)
    codes = document["components"]["schemas"]["ErrorCode"]["enum"]
    assert api.texts(".errors th code") == codes
    for entry in api.all(".operation > summary"):
        entry.click()
    assert "object Object" not in api.text("#view-api")
    assert "undefined" not in api.text("#view-api")
    api.switch_to("zh")
    assert all(any("一" <= letter <= "鿿" for letter in said) for said in api.texts(".operation > summary > .quiet"))
    assert all(any("一" <= letter <= "鿿" for letter in said) for said in api.texts(".errors tbody td:last-child"))
    assert len(api.all(".operation[open]")) == len(expected) + 1, "what was open stays open"
    assert api.console() == []


def test_the_address_of_an_operation_opens_it(page: Page, endpoint: str) -> None:
    page.driver.get("about:blank")
    page.driver.get(f"{endpoint}/#api/get-models")
    page.wait(lambda: page.all("#api-get-models[open]"))


def test_a_file_is_sent_by_the_form_and_its_answer_shown(api: Page, samples: list[Sample]) -> None:
    entry = opened(api, "post-predict")
    api.one("#api-post-predict form button").click()
    assert api.text("#api-post-predict .trial-status") == "Choose a file first."
    entry.find_element("css selector", "input[type=file]").send_keys(str(samples[0].path))
    entry.find_element("css selector", ".trial-parameters input").send_keys("1")
    assert sent(api, "post-predict").startswith("200 OK · ")
    found = answer(api, "post-predict")
    assert isinstance(found, dict)
    assert [one["label_en"] for one in found["predictions"]] == [samples[0].en]
    assert f"x-request-id: {found['request_id']}" in api.text("#api-post-predict .trial-answer details pre")
    Select(entry.find_element("css selector", "form > .trial-field select")).select_by_index(1)
    entry.find_element("css selector", ".trial-field:not([hidden]) input[type=file]").send_keys(str(samples[1].path))
    assert sent(api, "post-predict").startswith("200 OK · ")


WITH_JSON = ("post-predict", "post-models-name", "post-v2-models-name-infer", "post-v1-models-name-predict")


def test_the_json_that_a_form_begins_with_is_answered(api: Page) -> None:
    for operation in WITH_JSON:
        entry = opened(api, operation)
        for select in entry.find_elements("css selector", "form > .trial-field select"):
            Select(select).select_by_index(len(Select(select).options) - 1)
        assert sent(api, operation).startswith("200 OK · "), operation


def test_an_error_and_an_image_are_shown_as_what_they_are(api: Page) -> None:
    entry = opened(api, "post-predict")
    Select(entry.find_element("css selector", "form > .trial-field select")).select_by_index(2)
    text = entry.find_element("css selector", "textarea")
    text.clear()
    text.send_keys('{"inputs": "no image"}')
    assert sent(api, "post-predict").startswith("415 ")
    found = answer(api, "post-predict")
    assert isinstance(found, dict)
    assert found["error"]["code"] == "unsupported_type"
    opened(api, "get-models-name-examples-number")
    assert sent(api, "get-models-name-examples-number").startswith("200 OK")
    image = api.one("#api-get-models-name-examples-number .trial-answer img")
    api.wait(lambda: api.driver.execute_script("return arguments[0].naturalWidth", image))


def shown_code(api: Page, key: str) -> str:
    api.one(f"#code-{key}").click()
    return api.text("#code")


def test_the_programs_run_as_they_are_shown(api: Page, samples: list[Sample], tmp_path: Path) -> None:
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


def test_the_javascript_runs_in_the_browser_as_it_is_shown(api: Page, samples: list[Sample]) -> None:
    code = shown_code(api, "javascript")
    entry = opened(api, "post-predict")
    field = entry.find_element("css selector", "input[type=file]")
    field.send_keys(str(samples[0].path))
    found = api.driver.execute_async_script(RUN.format(code=code), field)
    assert found["predictions"][0]["label_en"] == samples[0].en
    assert samples[0].en in "".join(api.console())


def test_a_program_is_copied_by_its_button(api: Page) -> None:
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    api.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)
    code = shown_code(api, "client")
    api.one(".code .copy").click()
    api.wait(lambda: api.text(".code .copy") == "Copied")
    read = "const [done] = arguments; navigator.clipboard.readText().then(done, (e) => done(`${e}`))"
    assert api.driver.execute_async_script(read) == code


def test_the_document_is_said_to_be_missing_and_comes_by_itself(page: Page) -> None:
    with page.network(offline=True):
        page.one("#views [href='#api']").click()
        page.wait(lambda: page.text(".trouble, #view-api .trouble").startswith("The description could not be loaded"))
        assert page.text("#code").startswith("curl ")
    page.wait(lambda: page.all("#view-api .operation"))
