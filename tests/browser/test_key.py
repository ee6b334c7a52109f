"""The page of a service that asks for a key, and the commands that make and revoke it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from scripts.base.lock import exclusive
from scripts.commands import ServiceOptions
from tests import folders
from tests.browser.conftest import DESCRIBED, EXAMPLES, Sample
from tests.browser.page import Page
from tests.service import NO_DRAIN, Service, create, table

LOADED = "return [...document.querySelectorAll('.example img')].map((image) => image.naturalWidth)"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("guarded")
    folder = folders.fruit_folder(home / "model", extra=DESCRIBED, examples=EXAMPLES)
    access = f"{NO_DRAIN}[access]\nkeys = true\n"
    running = create(home / "service", table("fruit", folder), access)
    assert f"port {running.port} of every address asks for a key: 0 known" in running.up()
    yield running
    running.down()
    left = {"cluster.toml", "keys.jsonl", "own.key", "run", "run.history"}
    assert {path.name for path in running.cluster.parent.iterdir()} == left


def made(service: Service, *options: str) -> str:
    """Return the key that `make key` prints."""
    result = service.make("key", *options)
    assert (result.returncode, result.stderr) == (0, "")
    (key,) = re.findall(r"^wanwu_\S+$", result.stdout, re.MULTILINE)
    return str(key)


def status(service: Service, key: str, path: str = "/models") -> int:
    return requests.get(f"{service.endpoint}{path}", headers={"X-API-Key": key}, timeout=60).status_code


def test_the_page_asks_once_keeps_the_key_for_the_tab_and_forgets_it(
    guarded: Service, browser: webdriver.Chrome, samples: list[Sample]
) -> None:
    client, admin = made(guarded, "NAME=line-3", "MODELS=fruit"), made(guarded, "NAME=boss", "ROLE=admin")
    page = Page(browser, guarded.endpoint)
    page.wait(lambda: page.shown("#key-dialog"))
    assert page.text("#workers") == "A key is needed"
    assert page.text("#key-message").startswith("This service asks for a key")

    page.type("#key-field", "wanwu_wrong", Keys.ENTER)
    page.wait(lambda: page.text("#key-message").startswith("The service does not know this key."))
    page.type("#key-field", client, Keys.ENTER)
    page.wait(lambda: page.text("#workers") == "Online · 2 workers")
    page.wait(lambda: [width > 0 for width in page.run(LOADED)] == [True] * len(EXAMPLES))
    page.classify(samples[0].path)
    assert page.best() == [samples[0].en]

    page.open()  # in the same tab: it is not asked again, and is not kept anywhere else
    page.wait(lambda: page.text("#workers") == "Online · 2 workers")
    assert not page.shown("#key-dialog")
    assert client not in str(page.run("return [document.cookie, {...localStorage}, location.href]"))
    page.click("#views a[href='#cluster']")
    page.wait(lambda: page.text("#view-cluster .trouble") == "The state of the cluster is for keys of administrators.")
    page.click("#views a[href='#classify']")

    page.switch_to("zh")
    page.click("#key-forget")
    page.wait(lambda: page.shown("#key-dialog"))
    page.wait(lambda: page.text("#key-message").startswith("此服务需要密钥"))
    page.click(".key-buttons [formnovalidate]")
    page.wait(lambda: page.shown("#key-enter"))
    page.click("#key-enter")
    page.type("#key-field", admin, Keys.ENTER)
    page.wait(lambda: page.text("#workers") == "服务正常 · 2/2")
    page.click("#views a[href='#cluster']")
    page.wait(lambda: len(page.all("#view-cluster .servers > *")) == 1)


def test_keys_are_listed_and_end_while_the_service_runs(
    guarded: Service, tmp_path: Path, samples: list[Sample]
) -> None:
    old, new = made(guarded, "NAME=line-4"), made(guarded, "NAME=line-4")
    assert [status(guarded, key) for key in (old, new, "")] == [200, 200, 401]
    listed = guarded.make("key").stdout
    assert [line.split()[:3] for line in listed.splitlines() if line.startswith("line-4")] == [
        ["line-4", "client", "all"]
    ] * 2
    assert not any(key.split("_", 2)[2] in listed for key in (old, new))
    assert guarded.make("key-revoke", "NAME=line-4", f"ID={old.split('_')[1]}").returncode == 0
    assert [status(guarded, key) for key in (old, new)] == [401, 200]
    with exclusive(ServiceOptions(run_dir=guarded.run_dir).lock, "rollout"):  # a leaked key does not live until its end
        assert guarded.make("key-revoke", "NAME=line-4").returncode == 0
    assert [status(guarded, key) for key in (old, new)] == [401, 401]
    assert guarded.make("key-revoke", "NAME=line-4").returncode != 0
    found = guarded.make("status")
    assert (found.returncode, found.stdout.count("fruit-")) == (0, 2)
    assert guarded.make("classify", f"IMAGES={samples[0].path}").returncode == 0
    assert "already running" in guarded.up()
