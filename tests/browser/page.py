"""The web page, used the way a person uses it: real clicks, real drags, a real clipboard, real keys."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.chromium import log
from tests.browser.reader import VISIBLE, Absent, Reader
from tests.wait import TIMEOUT_S

# The element was rendered anew since it was found, or has moved: a person looks again.
MOVED = (StaleElementReferenceException, ElementClickInterceptedException)

CHOOSE = f"""
const list = document.querySelector(arguments[0]);
const option = [...list.options].find(({{ value, text }}) => [value, text].includes(arguments[1]));
if (!option || list.disabled || !list.{VISIBLE}) throw new Error(`${{arguments}} cannot be chosen`);
list.value = option.value;
for (const kind of ["input", "change"]) list.dispatchEvent(new Event(kind, {{ bubbles: true }}));
"""
STOPS = f"""
const stops = [...document.querySelectorAll("a[href], button, input, select, textarea, [tabindex='0']")]
  .filter((one) => one.tabIndex === 0 && !one.disabled && one.{VISIBLE});
return stops.indexOf(document.querySelector(arguments[0])) - stops.indexOf(document.activeElement);
"""
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


class Page(Reader):
    """The page served at `endpoint`, opened with nothing remembered from earlier visits."""

    def __init__(self, driver: webdriver.Chrome, endpoint: str) -> None:
        super().__init__(driver)
        self.endpoint = endpoint
        driver.get("about:blank")  # so that a page of before, whose service may be gone, adds nothing to the logs
        driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": endpoint, "storageTypes": "all"})
        log(driver, "browser")
        self.open()

    def open(self) -> None:
        self.driver.get(f"{self.endpoint}/")
        self.wait(lambda: self.text("#workers"))

    def _act(self, selector: str, place: int, act: Callable[[WebElement], None]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            found = self.all(selector)
            if len(found) <= place:
                raise Absent(f"{selector} [{place}]")
            try:
                return act(found[place])
            except MOVED:
                if time.monotonic() > deadline:
                    raise

    def click(self, selector: str, place: int = 0) -> None:
        self._act(selector, place, WebElement.click)

    def type(self, selector: str, *keys: str, place: int = 0) -> None:
        """Type into a field, or give files to one that takes them."""
        self._act(selector, place, lambda element: element.send_keys(*keys))

    def clear(self, selector: str) -> None:
        self._act(selector, 0, WebElement.clear)

    def pick(self, selector: str, option: str) -> None:
        """Choose an option of a list by its value or its text."""
        self.run(CHOOSE, selector, option)

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, selector: str) -> None:
        """Press the Tab key until the focus is at `selector`."""
        self.press(*[Keys.TAB] * self.run(STOPS, selector))
        while not self.focused(selector):  # it also stops where something can be scrolled
            self.press(Keys.TAB)

    def switch_to(self, language: str) -> None:
        self.click(f"[data-language={language}]")

    def choose(self, *files: Path) -> None:
        self.type("#files", "\n".join(map(str, files)))

    def classify(self, *files: Path) -> None:
        """Choose files and wait for the answer to each."""
        self.choose(*files)
        self.wait_for(*["done"] * len(files))

    def wait_for(self, *states: str) -> None:
        self.wait(lambda: self.states() == list(states))

    def wait_until_all_are_answered(self, count: int) -> None:
        self.wait(lambda: not self.shown("#stop") and self.text("#summary").startswith(f"{count} image"))

    def drop(self, *paths: Path) -> None:
        """Drag files or folders from the desktop into the middle of the page and let go."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for step in ("dragEnter", "dragOver", "drop"):
            event = {"type": step, "x": 300, "y": 300, "data": data}
            self.driver.execute_cdp_cmd("Input.dispatchDragEvent", event)

    def allow_the_clipboard(self) -> None:
        permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        self.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)

    def copied(self) -> str:
        """The text on the clipboard."""
        read = "const [done] = arguments; navigator.clipboard.readText().then(done, (e) => done(`${e}`))"
        return str(self.driver.execute_async_script(read))

    def paste(self, jpeg: Path) -> None:
        """Put an image on the clipboard (browsers keep images there as PNG) and press Ctrl+V."""
        self.allow_the_clipboard()
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
            self.driver.execute_cdp_cmd("Network.disable", {})

    @contextmanager
    def screen(self, width: int) -> Iterator[None]:
        """Have a phone's screen of this width in pixels while the block runs."""
        phone = {"width": width, "height": 740, "deviceScaleFactor": 2, "mobile": True}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    @contextmanager
    def blocked(self, path: str) -> Iterator[None]:
        """Have no request for `path` leave the browser while the block runs."""
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": [self.endpoint + path]})
        try:
            yield
        finally:
            self.driver.execute_cdp_cmd("Network.disable", {})
