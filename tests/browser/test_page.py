"""The web page: how images go in, what is said meanwhile, and that everybody can use it."""

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import requests
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import chromium, requested_hosts
from tests.browser.conftest import Sample
from tests.browser.page import Page
from tests.browser.reader import VISIBLE

CHOOSERS = ("files", "folder")  # seen as their labels
CONTROLS = {"button", "combobox", "link", "spinbutton", "checkbox", "textbox"}
IN_FOLDER = 102  # images: a browser lists a folder a hundred entries at a time


def in_flight_at_most(page: Page) -> int:
    """The largest number of classifications that the browser had under way at one time."""
    spans: list[list[float]] = page.run(
        "return performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/predict'))"
        ".map((entry) => [entry.startTime, entry.responseEnd])"
    )
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def test_images_chosen_together_show_their_labels_in_order_and_in_both_languages(
    page: Page, samples: list[Sample], endpoint: str
) -> None:
    count = len(workers(endpoint))
    assert page.text("#workers") == f"Online · {count} worker{'s' * (count > 1)}"
    page.classify(*(sample.path for sample in samples))
    assert page.texts(".card .file") == [sample.path.name for sample in samples]
    assert page.best() == [sample.en for sample in samples]
    page.switch_to("zh")
    assert page.best() == [sample.zh for sample in samples]
    assert page.text("label[for=files]") == "选择图片"
    assert page.text("#workers") == f"服务正常 · {count}/{count}"
    page.click("#clear")
    assert page.states() == []
    assert not page.shown("#results")
    page.open()
    assert page.value("html", "lang") == "zh-CN", "the language is kept for the next visit"
    assert page.text("#invitation") == "拖放图片到此处"
    assert page.console() == []


def workers(endpoint: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = requests.get(f"{endpoint}/status", timeout=60).json()["workers"]
    assert all(worker["in"] for worker in found)
    return found


def test_a_browser_set_to_chinese_is_greeted_in_chinese_and_no_request_leaves_for_another_host(
    samples: list[Sample], endpoint: str, tmp_path: Path
) -> None:
    with chromium(tmp_path, "zh-CN", network_log=True) as driver:
        page = Page(driver, endpoint)
        assert page.value("html", "lang") == "zh-CN"
        assert page.text("#invitation") == "拖放图片到此处"
        page.classify(*(sample.path for sample in samples))
        page.switch_to("en")
        assert requested_hosts(driver) == {urlsplit(endpoint).netloc}
        assert page.console() == []


def test_a_page_that_lacks_a_script_says_so_and_loads_anew_by_a_click(page: Page) -> None:
    with page.blocked("/results/answer.js"):
        page.driver.get(f"{page.endpoint}/")
        page.wait(lambda: page.shown("#incomplete"))
        assert page.faults() == []
    page.click("#incomplete a")
    page.wait(lambda: page.text("#workers"))
    assert not page.shown("#incomplete")


def test_an_image_is_dropped_pasted_or_photographed_and_read_out(page: Page, samples: list[Sample]) -> None:
    page.drop(samples[0].path)
    page.wait_for("done")
    page.wait(lambda: page.text("#announcement").startswith(f"{samples[0].path.name} {samples[0].en} "))
    assert re.fullmatch(r"[\d.]+ ms on server, \d+ ms total", page.text(".card .timing"))
    page.paste(samples[1].path)
    page.wait_for("done", "done")
    assert page.run("return document.querySelector('#camera').getAttribute('capture')") == "environment"
    assert page.value("#camera", "accept") == "image/*"
    assert not page.shown("label[for=camera]"), "a mouse has none"
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        page.wait(lambda: page.shown("label[for=camera]"))
        assert page.text("label[for=camera]") == "Take a photo"
        page.type("#camera", str(samples[2].path))
        page.wait_for("done", "done", "done")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert page.best() == [sample.en for sample in samples]


def test_a_dropped_folder_streams_in_by_name_one_image_per_worker_and_names_what_it_leaves_out(
    page: Page, samples: list[Sample], endpoint: str, tmp_path: Path
) -> None:
    folder = holiday(samples, tmp_path)
    page.drop(folder)
    page.wait_until_all_are_answered(IN_FOLDER)
    assert page.rows(".file")[:4] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert set(page.rows()) == {samples[0].en}
    page.type("#rows [tabindex='0']", Keys.END)
    page.wait(lambda: page.rows(".file")[-2:] == [f"{IN_FOLDER - 2}.jpg", "LAST.HEIC"])
    assert page.rows()[-1] == samples[-1].en
    assert page.text("#note") == "Skipped, not an image: notes.txt."
    assert in_flight_at_most(page) == len(workers(endpoint))
    page.switch_to("zh")
    assert page.text("#note") == "已跳过非图片文件：notes.txt。"


def holiday(samples: list[Sample], home: Path) -> Path:
    """Make a folder of images, one of a type that browsers may not know, and a text."""
    folder = home / "holiday"
    (folder / "z-inner").mkdir(parents=True)
    (folder / "notes.txt").write_text("not an image")
    shutil.copy(samples[-1].path, folder / "z-inner" / "LAST.HEIC")
    for number in range(IN_FOLDER - 1):
        (folder / f"{number}.jpg").hardlink_to(samples[0].path)
    return folder


def test_a_folder_is_chosen_by_its_button_stopped_and_sent_again(
    page: Page, samples: list[Sample], endpoint: str, tmp_path: Path
) -> None:
    assert page.text("label[for=folder]") == "Choose a folder"
    for sample in samples:
        (tmp_path / "fruit" / sample.en).mkdir(parents=True)
        shutil.copy(sample.path, tmp_path / "fruit" / sample.en / "1.jpg")
    (tmp_path / "fruit/notes.txt").write_text("not an image")
    names, at_once = sorted(sample.en for sample in samples), len(workers(endpoint))
    with page.network(latency_ms=600_000):
        page.type("#folder", str(tmp_path / "fruit"))
        page.wait_for(*["sending"] * at_once, *["waiting"] * (len(names) - at_once))
        assert page.text("#note") == "Skipped, not an image: notes.txt."
        page.click("#stop")
        page.wait_for(*["stopped"] * len(names))
    page.wait(lambda: page.shown("#again"))
    assert page.text("#again") == f"Retry {len(names)}"
    page.click("#again")
    page.wait_for(*["done"] * len(names))
    assert page.best() == names


NOTE_THE_FOCUS = """
window.focused = new Set();
document.addEventListener("focusin", ({ target }) => focused.add(target));
"""
NOT_REACHED = f"""
const controls = [...document.querySelectorAll("button, input, select, a")]
  .filter((one) => one.{VISIBLE} || arguments[0].includes(one.id));
return controls.filter((one) => !focused.has(one)).map((one) => one.outerHTML);
"""


def test_every_control_has_a_name_and_is_reached_by_keyboard_alone_and_nothing_is_wider_than_a_phone(
    page: Page, samples: list[Sample]
) -> None:
    page.classify(*(sample.path for sample in samples))
    tree = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = [node for node in tree if node.get("role", {}).get("value") in CONTROLS and not node["ignored"]]
    assert len(controls) > len(CHOOSERS)
    assert all(node["name"]["value"] for node in controls)
    page.run(NOTE_THE_FOCUS)
    page.press(*[Keys.TAB] * 2 * len(controls))
    assert page.run(NOT_REACHED, CHOOSERS) == []
    with page.screen(360):
        assert page.run("return document.documentElement.scrollWidth") == 360
