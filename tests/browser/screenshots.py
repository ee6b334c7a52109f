"""Take the documents' screenshots of the page of a running service: `python -m tests.browser.screenshots URL OUT`.

Nothing here knows how the page is built: the model's own examples are dropped on the middle of the page, as from a
desktop, and a picture is taken once every answer can be read and nothing moves any more.
"""

import io
import sys
import tempfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from PIL import Image
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.chromium import chromium

PATIENCE_S = 180  # for a busy machine
COLOURS = 256  # a palette: a third of the bytes, and photographs still look like photographs
LANGUAGES = {"en": "en-US", "zh": "zh-CN"}


@dataclass(frozen=True)
class Shot:
    """A picture: the start of its file's name, its colours, and the window in CSS pixels, which may grow to `limit`."""

    name: str
    scheme: str
    width: int
    height: int
    limit: int


SHOTS = (Shot("page", "light", 1280, 720, 1000), Shot("phone", "dark", 390, 780, 780))


def take(driver: webdriver.Chrome, url: str, out: Path) -> list[Path]:
    """Write every picture in every language into `out`; return the paths. Raise if the page shows other answers."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    with tempfile.TemporaryDirectory(prefix="wanwu-screenshots-") as home:
        photos, answers = _examples(url, Path(home))
        for language, preferred in LANGUAGES.items():
            labels = [answer[f"label_{language}"] for answer in answers]
            with _tab(driver, preferred):
                for shot in SHOTS:
                    written.append(out / f"{shot.name}.{language}.png")
                    _save(_picture(driver, url, shot, photos, labels), written[-1])
    return written


@contextmanager
def _tab(driver: webdriver.Chrome, language: str) -> Iterator[None]:
    """Work in a tab whose user prefers `language`; what is set for its pictures ends with it."""
    before = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        agent = {"userAgent": _run(driver, "navigator.userAgent"), "acceptLanguage": language}
        driver.execute_cdp_cmd("Emulation.setUserAgentOverride", agent)
        yield
    finally:
        driver.close()
        driver.switch_to.window(before)


def _examples(url: str, home: Path) -> tuple[list[Path], list[dict[str, Any]]]:
    """Download the examples of the first model; return their files and the answers that they get."""
    (model, *_) = requests.get(f"{url}/models", timeout=PATIENCE_S).json()["models"]
    photos, answers = [], []
    for number, example in enumerate(model["examples"], 1):
        photos.append(home / f"photo-{number}.jpg")
        photos[-1].write_bytes(requests.get(url + example["path"], timeout=PATIENCE_S).content)
        answer = requests.post(f"{url}/predict", data=photos[-1].read_bytes(), timeout=PATIENCE_S).json()
        answers.append(answer["predictions"][0])
    return photos, answers


def _picture(driver: webdriver.Chrome, url: str, shot: Shot, photos: list[Path], labels: list[str]) -> bytes:
    """Open the page, drop the photos on it, and return the picture once all labels can be read."""
    media = {"prefers-color-scheme": shot.scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in media.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
    _resize(driver, shot.width, shot.height)
    driver.get(f"{url}/")
    _still(driver)
    data = {"items": [], "files": [str(photo) for photo in photos], "dragOperationsMask": 1}
    for step in ("dragEnter", "dragOver", "drop"):
        event = {"type": step, "x": shot.width // 2, "y": shot.height // 2, "data": data}
        driver.execute_cdp_cmd("Input.dispatchDragEvent", event)
    _wait(driver, lambda: all(label in _run(driver, "document.body.innerText") for label in labels))
    _resize(driver, shot.width, min(shot.limit, _run(driver, "document.body.scrollHeight")))
    _run(driver, "scrollTo(0, 0)")
    return _still(driver)


def _resize(driver: webdriver.Chrome, width: int, height: int) -> None:
    window = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)


def _run(driver: webdriver.Chrome, expression: str) -> Any:
    return driver.execute_script(f"return {expression}")


def _still(driver: webdriver.Chrome) -> bytes:
    """Return the picture of the window as soon as two in a row are equal, with every photograph drawn."""
    seen: list[bytes] = []

    def is_still() -> bool:
        seen.append(b64decode(driver.get_screenshot_as_base64()))
        drawn = _run(driver, "Array.from(document.images).every((image) => image.complete)")
        return len(seen) > 1 and seen[-1] == seen[-2] and drawn

    _wait(driver, is_still)
    return seen[-1]


def _wait(driver: webdriver.Chrome, condition: Callable[[], bool]) -> None:
    WebDriverWait(driver, PATIENCE_S, poll_frequency=0.5).until(lambda _: condition())


def _save(png: bytes, path: Path) -> None:
    """Write the picture with a palette of its own."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT).save(path, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile), LANGUAGES["en"]) as browser:
        for file in take(browser, sys.argv[1], Path(sys.argv[2])):
            print(f"   {file}: {file.stat().st_size / 1000:.0f} kB")
