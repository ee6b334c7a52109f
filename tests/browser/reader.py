"""What the web page says, each question asked by one script.

The page may render an element anew at any time, so nothing is kept of an element between two questions.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from selenium import webdriver
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.browser.chromium import log
from tests.wait import TIMEOUT_S

# Resolve to the number of changes of the document as soon as it differs from `seen`, or after a while for what is seen
# elsewhere: in files, in the network, in the focus. Changes that follow each other at once are one.
NEXT_CHANGE = """
const [seen, done] = arguments;
if (!window.changes) {
  window.changes = { count: 1, told() {} };
  new MutationObserver(() => { changes.count += 1; changes.told(); })
    .observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
}
const tell = () => done(changes.count);
changes.told = () => setTimeout(tell, 50);
if (changes.count !== seen) tell();
else setTimeout(tell, 500);
"""
VISIBLE = "checkVisibility({ opacityProperty: true, visibilityProperty: true })"
AXE = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
FAULTS = """
const [options, done] = arguments;
axe.run(document, options).then(({ violations }) =>
  done(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)));
"""


class Absent(LookupError):
    """No element is at the selector."""


# The page was left, or rendered anew, while it was asked.
MEANWHILE = (Absent, StaleElementReferenceException, JavascriptException)


class Reader:
    """What is to be seen of the page in `driver`."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def wait(self, condition: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> None:
        """Return once `condition()` is true, which is asked again after each change of the page."""
        deadline = time.monotonic() + timeout_s
        seen = 0
        while True:
            late = time.monotonic() > deadline
            with suppress(*MEANWHILE):
                seen = self.driver.execute_async_script(NEXT_CHANGE, seen)
                if condition():
                    return
            if late:
                state = self.run("return [document.visibilityState, document.readyState]")
                raise AssertionError(
                    f"not true after {timeout_s} s; the page is {', '.join(state)} and says:\n{self.text('body')}\n"
                    f"the browser says: {log(self.driver, 'browser')}"
                )

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def value(self, selector: str, name: str) -> Any:
        """The property `name` of the first element at `selector`, such as `textContent` or `checked`."""
        script = "return [...document.querySelectorAll(arguments[0])].slice(0, 1).map((one) => one[arguments[1]])"
        for found in self.run(script, selector, name):
            return found
        raise Absent(selector)

    def text(self, selector: str) -> str:
        """The text of the first element at `selector`, also of an element that only screen readers see."""
        return str(self.value(selector, "textContent"))

    def texts(self, selector: str) -> list[str]:
        """The text of every element at `selector`."""
        texts: list[str] = self.run(
            "return Array.from(document.querySelectorAll(arguments[0]), (element) => element.textContent)", selector
        )
        return texts

    def shown(self, selector: str) -> bool:
        """Whether an element at `selector` can be seen."""
        script = f"return [...document.querySelectorAll(arguments[0])].some((one) => one.{VISIBLE})"
        return bool(self.run(script, selector))

    def focused(self, selector: str) -> bool:
        return bool(self.run("return document.activeElement.matches(arguments[0])", selector))

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def names(self, selector: str) -> list[str]:
        """The name of every element at `selector` as a screen reader says it."""
        return [element.accessible_name for element in self.all(selector)]

    def requests(self, path: str) -> list[dict[str, list[str]]]:
        """The query of every request for `path` that was answered so far."""
        script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        urls = [urlsplit(url) for url in self.run(script)]
        return [parse_qs(url.query) for url in urls if url.path == path]

    def models_asked(self) -> list[str | None]:
        """The model that every classification so far has named, None where it named none."""
        return [query.get("model", [None])[0] for query in self.requests("/predict")]

    def states(self) -> list[str]:
        """The state of every image, in the order shown."""
        states: list[str] = self.run("return [...document.querySelectorAll('.card')].map((card) => card.dataset.state)")
        return states

    def best(self) -> list[str]:
        """The first label of every image that has an answer, in the order shown."""
        return self.texts(".card .found > .bars li:first-child .label")

    def rows(self, part: str = ".said") -> list[str]:
        """The text of `part` of every row of the list that is in view, in the order shown."""
        script = (
            "return [...document.querySelectorAll('#rows li')].sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)"
            ".map((row) => row.querySelector(arguments[0]).textContent)"
        )
        texts: list[str] = self.run(script, part)
        return texts

    def faults(self) -> list[str]:
        """What axe finds wrong with the page as it is now, in light and in dark colours."""
        if not self.run("return Boolean(window.axe)"):
            self.run(AXE)
        found: list[str] = []
        for scheme, rules in (("light", {}), ("dark", {"runOnly": "color-contrast"})):
            with self.media(color_scheme=scheme, reduced_motion="reduce"):  # no colour on its way to another
                found += self.driver.execute_async_script(FAULTS, rules)
        return found

    def console(self) -> list[str]:
        """What the browser's console has said since it was last asked."""
        return [entry["message"] for entry in log(self.driver, "browser")]

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
