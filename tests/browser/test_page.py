"""The web page: how images go in, what is said meanwhile, and that everybody can use it."""

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import requests
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import Page, chromium
from tests.browser.conftest import Sample

CHOOSERS = ("files", "folder")  # seen as their labels


def in_flight_at_most(page: Page) -> int:
    """The largest number of classifications that the browser had under way at one time."""
    spans: list[list[float]] = page.driver.execute_script(
        "return performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/predict'))"
        ".map((entry) => [entry.startTime, entry.responseEnd])"
    )
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def test_images_chosen_together_show_their_labels_in_order_and_in_both_languages(
    page: Page, samples: list[Sample]
) -> None:
    page.choose(*(sample.path for sample in samples))
    page.wait_for(*["done"] * len(samples))
    assert page.texts(".card .file") == [sample.path.name for sample in samples]
    assert page.best() == [sample.en for sample in samples]
    page.switch_to("zh")
    assert page.best() == [sample.zh for sample in samples]
    assert page.one("label[for=files]").text == "选择图片"
    assert page.console() == []


def test_a_single_answer_is_read_out_with_its_file_name_and_timing(page: Page, samples: list[Sample]) -> None:
    page.choose(samples[0].path)
    page.wait_for("done")
    page.wait(lambda: page.text("#announcement").startswith(f"{samples[0].path.name} {samples[0].en} "))
    assert re.fullmatch(r"[\d.]+ ms on server, \d+ ms total", page.text(".card .timing"))


def test_the_language_that_was_chosen_is_kept_for_the_next_visit(page: Page) -> None:
    assert page.one("html").get_attribute("lang") == "en"
    page.switch_to("zh")
    page.open()
    assert page.one("html").get_attribute("lang") == "zh-CN"
    assert page.text("#invitation") == "拖放图片到此处"


def test_a_browser_set_to_chinese_is_greeted_in_chinese_and_no_request_leaves_for_another_host(
    samples: list[Sample], endpoint: str, tmp_path: Path
) -> None:
    with chromium(tmp_path, "zh-CN", network_log=True) as driver:
        page = Page(driver, endpoint)
        assert page.text("#invitation") == "拖放图片到此处"
        page.choose(*(sample.path for sample in samples))
        page.wait_for(*["done"] * len(samples))
        page.switch_to("en")
        assert page.requested_hosts() == {urlsplit(endpoint).netloc}
        assert page.console() == []


def test_a_dropped_image_is_classified(page: Page, samples: list[Sample]) -> None:
    page.drop(samples[0].path)
    page.wait_for("done")
    assert page.best() == [samples[0].en]


def test_a_dropped_folder_streams_in_by_name_one_image_per_worker_and_names_what_it_leaves_out(
    page: Page, samples: list[Sample], endpoint: str, tmp_path: Path
) -> None:
    folder = holiday(samples, tmp_path)
    page.drop(folder)
    page.wait_until_all_are_answered(121)
    assert page.rows(".file")[:4] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert set(page.rows()) == {samples[0].en}
    page.one("#rows [tabindex='0']").send_keys(Keys.END)
    page.wait(lambda: page.rows(".file")[-2:] == ["119.jpg", "LAST.HEIC"])
    assert page.rows()[-1] == samples[-1].en
    assert page.text("#note") == "Skipped, not an image: notes.txt."
    assert in_flight_at_most(page) == len(workers(endpoint))
    page.switch_to("zh")
    assert page.text("#note") == "已跳过非图片文件：notes.txt。"


def test_a_folder_is_chosen_by_its_button(page: Page, samples: list[Sample], tmp_path: Path) -> None:
    assert page.one("label[for=folder]").text == "Choose a folder"
    page.one("#folder").send_keys(str(holiday(samples, tmp_path)))
    page.wait_until_all_are_answered(121)
    assert page.rows(".file")[:4] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert page.text("#note") == "Skipped, not an image: notes.txt."


def holiday(samples: list[Sample], home: Path) -> Path:
    """Make a folder of 121 images, one of a type that browsers may not know, and a text."""
    folder = home / "holiday"
    (folder / "z-inner").mkdir(parents=True)
    (folder / "notes.txt").write_text("not an image")
    shutil.copy(samples[-1].path, folder / "z-inner" / "LAST.HEIC")
    for number in range(120):  # a browser lists a folder a hundred entries at a time
        shutil.copy(samples[0].path, folder / f"{number}.jpg")
    return folder


def test_a_phone_offers_its_camera(page: Page, samples: list[Sample]) -> None:
    camera, label = page.one("#camera"), page.one("label[for=camera]")
    assert [camera.get_attribute(name) for name in ("accept", "capture")] == ["image/*", "environment"]
    assert not label.is_displayed(), "a mouse has none"
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        page.wait(label.is_displayed)
        assert label.text == "Take a photo"
        camera.send_keys(str(samples[0].path))
        page.wait_for("done")
    finally:
        page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert page.best() == [samples[0].en]


def test_a_pasted_image_is_classified(page: Page, samples: list[Sample]) -> None:
    page.paste(samples[0].path)
    page.wait_for("done")
    assert page.best() == [samples[0].en]


def test_stopped_images_can_be_sent_again(page: Page, samples: list[Sample], endpoint: str) -> None:
    at_once = len(workers(endpoint))
    with page.network(latency_ms=600_000):
        page.choose(*[samples[0].path] * 6)
        page.wait_for(*["sending"] * at_once, *["waiting"] * (6 - at_once))
        page.one("#stop").click()
        page.wait_for(*["stopped"] * 6)
    page.wait(lambda: page.one("#again").is_displayed())
    assert page.one("#again").text == "Retry 6"
    page.one("#again").click()
    page.wait_for(*["done"] * 6)
    assert page.best() == [samples[0].en] * 6


def test_clearing_leaves_the_page_as_it_was(page: Page, samples: list[Sample]) -> None:
    page.choose(samples[0].path)
    page.wait_for("done")
    page.one("#clear").click()
    assert page.states() == []
    assert not page.one("#results").is_displayed()


def test_the_foot_of_the_page_counts_the_workers_that_answer(page: Page, endpoint: str) -> None:
    count = len(workers(endpoint))
    assert page.text("#workers") == f"Online · {count} worker{'s' * (count > 1)}"
    page.switch_to("zh")
    assert page.text("#workers") == f"服务正常 · {count}/{count}"


def workers(endpoint: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = requests.get(f"{endpoint}/status", timeout=60).json()["workers"]
    assert all(worker["in"] for worker in found)
    return found


def test_every_control_has_a_name_and_is_reached_by_keyboard_alone(page: Page, samples: list[Sample]) -> None:
    page.choose(samples[0].path)
    page.wait_for("done")
    controls = [
        e for e in page.all("button, input, select, a") if e.is_displayed() or e.get_attribute("id") in CHOOSERS
    ]
    assert all(control.accessible_name for control in controls)
    reached = set()
    for _ in controls:
        webdriver.ActionChains(page.driver).send_keys(Keys.TAB).perform()
        reached.add(page.driver.switch_to.active_element)
    assert reached == set(controls)


def test_nothing_is_wider_than_a_phone_of_360_pixels(page: Page, samples: list[Sample]) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.choose(*(sample.path for sample in samples))
        page.wait_for(*["done"] * len(samples))
        assert page.driver.execute_script("return document.documentElement.scrollWidth") == 360
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
