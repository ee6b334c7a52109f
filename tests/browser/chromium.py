"""The web page in a headless Chromium, used the way a person uses it: real drags, a real clipboard, real keys."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMEDRIVER = "/usr/bin/chromedriver"
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
LEAVING = ("http", "https", "ws", "wss")  # the schemes of requests that leave the browser
PATIENCE_S = 120  # how long a condition may take before a test is given up; nothing waits this long when all is well

COPY_AS_PNG = """
const [source, done] = arguments;
const image = new Image();
image.onload = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").drawImage(image, 0, 0);
  canvas.toBlob((png) =>
    navigator.clipboard.write([new ClipboardItem({ "image/png": png })]).then(() => done(""), (e) => done(`${e}`)));
};
image.src = source;
"""


AXE = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
FAULTS = """
const done = arguments[0];
axe.run(document).then(({ violations }) =>
  done(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)));
"""


@contextmanager
def chromium(profile: Path, language: str, network_log: bool = False) -> Iterator[webdriver.Chrome]:
    """A Chromium with a fresh profile whose user prefers `language`, such as "en-US".

    With `network_log`, it notes every request for `Page.requested_hosts`, which takes its time at each.
    """
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS.split(), f"--user-data-dir={profile}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    logs = {"browser": "ALL"} | ({"performance": "ALL"} if network_log else {})
    options.set_capability("goog:loggingPrefs", logs)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """The page served at `endpoint`, opened with nothing remembered from earlier visits."""

    def __init__(self, driver: webdriver.Chrome, endpoint: str) -> None:
        self.driver = driver
        self.endpoint = endpoint
        driver.get("about:blank")  # so that a page of before, whose service may be gone, adds nothing to the logs
        driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": endpoint, "storageTypes": "all"})
        self.log("browser")
        self.open()

    def open(self) -> None:
        self.driver.get(f"{self.endpoint}/")
        self.wait(lambda: self.text("#workers"))

    def wait(self, condition: Callable[[], Any]) -> None:
        WebDriverWait(self.driver, PATIENCE_S, poll_frequency=0.1).until(lambda _: condition())

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """The text of the one element at `selector`, also of an element that only screen readers see."""
        return self.one(selector).get_attribute("textContent") or ""

    def texts(self, selector: str) -> list[str]:
        """The text of every element at `selector`, all read at one moment: the page may change between two."""
        script = "return Array.from(document.querySelectorAll(arguments[0]), (element) => element.textContent)"
        texts: list[str] = self.driver.execute_script(script, selector)
        return texts

    def requests(self, path: str) -> list[dict[str, list[str]]]:
        """The query of every request for `path` that was answered so far."""
        script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        urls = [urlsplit(url) for url in self.driver.execute_script(script)]
        return [parse_qs(url.query) for url in urls if url.path == path]

    def models_asked(self) -> list[str | None]:
        """The model that every classification so far has named, None where it named none."""
        return [query.get("model", [None])[0] for query in self.requests("/predict")]

    def states(self) -> list[str]:
        """The state of every image, in the order shown."""
        return [card.get_attribute("data-state") or "" for card in self.all(".card")]

    def best(self) -> list[str]:
        """The first label of every image that has an answer, in the order shown."""
        return self.texts(".card .found > .bars li:first-child .label")

    def rows(self, part: str = ".said") -> list[str]:
        """The text of `part` of every row of the list that is in view, in the order shown."""
        script = (
            "return [...document.querySelectorAll('#rows li')].sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)"
            ".map((row) => row.querySelector(arguments[0]).textContent)"
        )
        texts: list[str] = self.driver.execute_script(script, part)
        return texts

    def wait_until_all_are_answered(self, count: int) -> None:
        self.wait(lambda: not self.one("#stop").is_displayed() and self.text("#summary").startswith(f"{count} image"))

    def wait_for(self, *states: str) -> None:
        self.wait(lambda: self.states() == list(states))

    def switch_to(self, language: str) -> None:
        self.one(f"[data-language={language}]").click()

    def choose(self, *files: Path) -> None:
        self.one("#files").send_keys("\n".join(map(str, files)))

    def drop(self, *paths: Path) -> None:
        """Drag files or folders from the desktop into the middle of the page and let go."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for step in ("dragEnter", "dragOver", "drop"):
            event = {"type": step, "x": 300, "y": 300, "data": data}
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", event)

    def paste(self, jpeg: Path) -> None:
        """Put an image on the clipboard (browsers keep images there as PNG) and press Ctrl+V."""
        self.driver.execute_cdp_cmd(
            "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        )
        source = "data:image/jpeg;base64," + base64.b64encode(jpeg.read_bytes()).decode()
        fault = self.driver.execute_async_script(COPY_AS_PNG, source)
        if fault:
            raise AssertionError(f"the image could not be put on the clipboard: {fault}")
        webdriver.ActionChains(self.driver).key_down(Keys.CONTROL).send_keys("v").key_up(Keys.CONTROL).perform()

    @contextmanager
    def network(self, *, offline: bool = False, latency_ms: int = 0, upload_bytes_s: int = -1) -> Iterator[None]:
        """Cut or slow the browser's network while the block runs."""
        command, unlimited = "Network.emulateNetworkConditions", {"downloadThroughput": -1, "uploadThroughput": -1}
        limited = {"offline": offline, "latency": latency_ms, **unlimited, "uploadThroughput": upload_bytes_s}
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd(command, limited)
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd(command, {"offline": False, "latency": 0, **unlimited})

    @contextmanager
    def media(self, **preferences: str) -> Iterator[None]:
        """Have the user prefer these CSS media features, such as `color_scheme="dark"`, while the block runs."""
        command = "Emulation.setEmulatedMedia"
        named = {f"prefers-{name.replace('_', '-')}": value for name, value in preferences.items()}
        features = [{"name": name, "value": value} for name, value in named.items()]
        self.driver.execute_cdp_cmd(command, {"features": features})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd(command, {"features": []})

    def faults(self) -> list[str]:
        """What axe finds wrong with the page as it is now, in light and in dark colours."""
        self.driver.execute_script(AXE)
        found: list[str] = []
        for scheme in ("light", "dark"):
            with self.media(color_scheme=scheme, reduced_motion="reduce"):  # no colour on its way to another
                found += self.driver.execute_async_script(FAULTS)
        return found

    def log(self, kind: str) -> list[dict[str, Any]]:
        """The browser's log of this kind since it was last asked."""
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries

    def console(self) -> list[str]:
        """What the browser's console has said since it was last asked."""
        return [entry["message"] for entry in self.log("browser")]

    def requested_hosts(self) -> set[str]:
        """host:port of every request since this was last asked, in a browser with a log of the network."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        parts = map(urlsplit, urls)
        return {part.netloc for part in parts if part.scheme in LEAVING}  # the browser's first tab asks for its own
