"""A headless Chromium that costs little, in which the tests open the web page."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.remote.remote_connection import RemoteConnection

from tests.wait import TIMEOUT_S

CHROMEDRIVER = "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-extensions "
    "--disable-background-networking --disable-component-update --disable-sync --disable-breakpad "
    # A machine that other tests share: no animations, and no process that is kept for a page to come or of before.
    "--force-prefers-reduced-motion --process-per-site --in-process-gpu "
    "--disable-features=BackForwardCache,SpareRendererForSitePerProcess,Translate,OptimizationHints,MediaRouter"
)
LEAVING = ("http", "https", "ws", "wss")  # the schemes of requests that leave the browser


@contextmanager
def chromium(profile: Path, language: str, network_log: bool = False) -> Iterator[webdriver.Chrome]:
    """A Chromium with a fresh profile whose user prefers `language`, such as "en-US".

    With `network_log`, it notes every request for `requested_hosts`, which takes its time at each.
    """
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS.split(), f"--user-data-dir={profile}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    logs = {"browser": "ALL"} | ({"performance": "ALL"} if network_log else {})
    options.set_capability("goog:loggingPrefs", logs)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    try:
        driver.set_script_timeout(TIMEOUT_S)
        if isinstance(driver.command_executor, RemoteConnection):  # whose own limit is below that of scripts
            driver.command_executor.client_config.timeout = 2 * TIMEOUT_S
        yield driver
    finally:
        driver.quit()


def log(driver: webdriver.Chrome, kind: str) -> list[dict[str, Any]]:
    """The browser's log of this kind since it was last asked."""
    entries: list[dict[str, Any]] = driver.get_log(kind)  # type: ignore[no-untyped-call]
    return entries


def requested_hosts(driver: webdriver.Chrome) -> set[str]:
    """host:port of every request since this was last asked, in a browser with a log of the network."""
    events = [json.loads(entry["message"])["message"] for entry in log(driver, "performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    parts = map(urlsplit, urls)
    return {part.netloc for part in parts if part.scheme in LEAVING}  # the browser's first tab asks for its own
