"""The web page through the running gateway: every answer and every refusal here comes from the real service."""

import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests import folders
from tests.browser.chromium import Page, chromium
from tests.service import Service, create

PHOTOS = Path(__file__).parents[2] / "worker" / "photos"


@dataclass(frozen=True)
class Golden:
    path: Path
    en: str
    zh: str


@pytest.fixture(scope="module")
def goldens() -> list[Golden]:
    """The photos model's own pictures, with the labels its model.toml expects for them."""
    model = tomllib.loads((PHOTOS / "model.toml").read_text())
    chinese = (PHOTOS / model["output"]["labels"]["zh"]).read_text().splitlines()
    return [Golden(PHOTOS / g["image"], g["label"], chinese[g["index"]]) for g in model["golden"]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile"), "en-US") as driver:
        yield driver


@pytest.fixture
def page(browser: webdriver.Chrome, endpoint: str) -> Page:
    return Page(browser, endpoint)


def in_flight_at_most(page: Page) -> int:
    """The largest number of classifications that the browser had under way at one time."""
    spans: list[list[float]] = page.driver.execute_script(
        "return performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/predict'))"
        ".map((entry) => [entry.startTime, entry.responseEnd])"
    )
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)


def test_pictures_chosen_together_show_their_labels_in_order_and_in_both_languages(
    page: Page, goldens: list[Golden]
) -> None:
    page.choose(*(golden.path for golden in goldens))
    page.wait_for(*["done"] * len(goldens))
    assert page.texts(".card .file") == [golden.path.name for golden in goldens]
    assert page.best() == [golden.en for golden in goldens]
    assert len(page.all(".card:first-child .bars li")) == 5
    page.switch_to("zh")
    assert page.best() == [golden.zh for golden in goldens]
    assert page.one("label[for=files]").text == "选择图片"
    assert page.console() == []


def test_a_single_answer_is_read_out_with_its_file_name_and_timing(page: Page, goldens: list[Golden]) -> None:
    page.choose(goldens[0].path)
    page.wait_for("done")
    page.wait(lambda: page.text("#announcement").startswith(f"{goldens[0].path.name} {goldens[0].en} "))
    assert "ms · round trip" in page.text(".card .timing")


def test_the_language_that_was_chosen_is_kept_for_the_next_visit(page: Page) -> None:
    assert page.one("html").get_attribute("lang") == "en"
    page.switch_to("zh")
    page.open()
    assert page.one("html").get_attribute("lang") == "zh-CN"
    assert page.text("#invitation") == "把图片放到这里"


def test_a_browser_set_to_chinese_is_greeted_in_chinese(tmp_path: Path, endpoint: str) -> None:
    with chromium(tmp_path, "zh-CN") as driver:
        assert Page(driver, endpoint).text("#invitation") == "把图片放到这里"


def test_a_dropped_picture_is_classified(page: Page, goldens: list[Golden]) -> None:
    page.drop(goldens[0].path)
    page.wait_for("done")
    assert page.best() == [goldens[0].en]


def test_a_dropped_folder_streams_in_by_name_four_at_a_time_and_leaves_other_files_out(
    page: Page, goldens: list[Golden], tmp_path: Path
) -> None:
    folder = tmp_path / "holiday"
    (folder / "z-inner").mkdir(parents=True)
    (folder / "notes.txt").write_text("not a picture")
    shutil.copy(goldens[-1].path, folder / "z-inner" / "last.jpg")
    for number in range(120):  # a browser lists a folder a hundred entries at a time
        shutil.copy(goldens[0].path, folder / f"{number}.jpg")
    page.drop(folder)
    page.wait_for(*["done"] * 121)
    assert page.texts(".card .file") == [*(f"{number}.jpg" for number in range(120)), "last.jpg"]
    assert page.best() == [*[goldens[0].en] * 120, goldens[-1].en]
    assert page.text("#note") == "1 file is not a picture and was not sent."
    assert in_flight_at_most(page) == 4


def test_a_pasted_picture_is_classified(page: Page, goldens: list[Golden]) -> None:
    page.paste(goldens[0].path)
    page.wait_for("done")
    assert page.best() == [goldens[0].en]


def test_what_the_service_refuses_is_shown_in_its_own_words_beside_what_it_answers(
    page: Page, goldens: list[Golden], endpoint: str, tmp_path: Path
) -> None:
    broken, text = tmp_path / "broken.jpg", tmp_path / "text.jpg"
    whole = goldens[0].path.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    text.write_text("this is not a picture")
    answers = [
        requests.post(f"{endpoint}/predict", files={"image": (path.name, path.read_bytes(), "image/jpeg")}, timeout=30)
        for path in (broken, text)
    ]
    assert [answer.status_code for answer in answers] == [422, 415]
    page.choose(broken, goldens[0].path, text)
    page.wait_for("failed", "done", "failed")
    messages = [answer.json()["error"]["message"] for answer in answers]
    assert page.texts(".card .reason") == [messages[0], "", messages[1]]
    assert page.texts(".card .message") == ["The picture cannot be read", "", "Not a kind of picture that is served"]
    assert page.text("#summary") == "3 pictures, 2 without an answer"
    page.switch_to("zh")
    assert page.texts(".card .message") == ["图片无法读取", "", "不是支持的图片格式"]
    assert not page.one("#again").is_displayed(), "sending the same files again would be refused again"


@pytest.fixture(scope="module")
def fruit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose model has attributes."""
    home = tmp_path_factory.mktemp("fruit")
    folder = folders.fruit_folder(home / "fruit")
    service = create(home / "service", f'[[models]]\nname = "fruit"\nfolder = "{folder}"\n')
    service.up()
    yield service
    service.down()


def test_attributes_stand_below_the_label_in_both_languages(
    browser: webdriver.Chrome, fruit: Service, tmp_path: Path
) -> None:
    page, red, black = Page(browser, fruit.endpoint), tmp_path / "red.png", tmp_path / "black.png"
    folders.picture(folders.RED).save(red)
    folders.picture((0, 0, 0)).save(black)
    page.choose(red, black)
    page.wait_for("done", "done")
    assert page.best()[0] == "apple"
    assert page.texts(".card .attributes dt") == ["ripeness", "marks"] * 2
    found = page.texts(".card .attributes dd")
    assert [found[0].split()[0], found[1].split()[0], found[3]] == ["ripe", "reddish", "none"]
    assert found[0].endswith("%")
    page.switch_to("zh")
    assert [text.split()[0] for text in page.texts(".card .attributes dd")][::3] == ["熟", "无"]


def test_a_heat_map_takes_the_pictures_place_and_gives_it_back(
    page: Page, goldens: list[Golden], endpoint: str
) -> None:
    page.choose(goldens[0].path)
    page.wait_for("done")
    button, picture, heat = (page.one(f".card {part}") for part in (".look", ".picture", ".heat"))
    assert (button.text, button.get_attribute("aria-pressed"), heat.is_displayed()) == (
        "Where it looks",
        "false",
        False,
    )
    button.click()
    page.wait(heat.is_displayed)
    assert (button.get_attribute("aria-pressed"), picture.is_displayed()) == ("true", False)
    data = {"image": goldens[0].path.read_bytes()}
    wanted = requests.post(f"{endpoint}/predict?heat_map=true", files=data, timeout=30).json()["heat_map"]
    assert heat.get_attribute("src") == wanted
    assert page.driver.execute_script("return arguments[0].naturalWidth", heat) == 96
    assert heat.get_attribute("alt") == f"Heat map: where it looks to see “{goldens[0].en}”"
    assert page.text("#announcement") == heat.get_attribute("alt")
    page.switch_to("zh")
    assert (button.text, heat.get_attribute("alt")) == ("关注区域", f"热力图：识别为“{goldens[0].zh}”时的关注区域")
    button.click()
    assert (picture.is_displayed(), heat.is_displayed()) == (True, False)
    assert page.console() == []


def test_a_heat_map_that_did_not_come_can_be_asked_for_again_and_the_answer_stays(
    page: Page, goldens: list[Golden]
) -> None:
    page.choose(goldens[0].path)
    page.wait_for("done")
    with page.network(offline=True):
        page.one(".card .look").click()
        page.wait(lambda: page.text(".card .message").startswith("The service cannot be reached."))
        assert page.best() == [goldens[0].en]
    page.one(".card .look").click()
    page.wait(page.one(".card .heat").is_displayed)
    assert page.text(".card .message") == ""


def test_stopped_pictures_can_be_sent_again(page: Page, goldens: list[Golden]) -> None:
    with page.network(latency_ms=600_000):
        page.choose(*[goldens[0].path] * 6)
        page.wait_for(*["sending"] * 4, *["waiting"] * 2)
        page.one("#stop").click()
        page.wait_for(*["stopped"] * 6)
    page.wait(lambda: page.one("#again").is_displayed())
    assert page.one("#again").text == "Send 6 again"
    page.one("#again").click()
    page.wait_for(*["done"] * 6)
    assert page.best() == [goldens[0].en] * 6


def test_without_a_network_the_page_says_so_and_recovers(page: Page, goldens: list[Golden]) -> None:
    answering = page.text("#workers")
    with page.network(offline=True):
        page.choose(goldens[0].path)
        page.wait_for("failed")
        assert page.text(".card .message") == "The service cannot be reached. Check the network, then send again."
        page.wait(lambda: page.text("#workers") == "The service does not answer at the moment")
    page.one("#again").click()
    page.wait_for("done")
    page.wait(lambda: page.text("#workers") == answering)


def test_clearing_leaves_the_page_as_it_was(page: Page, goldens: list[Golden]) -> None:
    page.choose(goldens[0].path)
    page.wait_for("done")
    page.one("#clear").click()
    assert page.states() == []
    assert not page.one("#results").is_displayed()


def test_the_foot_of_the_page_counts_the_workers_that_answer(page: Page, endpoint: str) -> None:
    workers = requests.get(f"{endpoint}/status", timeout=30).json()["workers"]
    answering = sum(worker["in"] for worker in workers)
    assert page.text("#workers").startswith(f"{answering} of {len(workers)} worker")


def test_the_model_can_be_chosen_only_where_there_are_several(page: Page, endpoint: str) -> None:
    models = requests.get(f"{endpoint}/status", timeout=30).json()["models"]
    assert page.texts("#model option") == [model["name"] for model in models]
    assert page.one("#model").is_displayed() == (len(models) > 1)


def test_every_control_has_a_name_and_is_reached_by_keyboard_alone(page: Page, goldens: list[Golden]) -> None:
    page.choose(goldens[0].path)
    page.wait_for("done")
    controls = [e for e in page.all("button, input, select, a") if e.is_displayed() or e.get_attribute("id") == "files"]
    assert all(control.accessible_name for control in controls)
    reached = set()
    for _ in controls:
        webdriver.ActionChains(page.driver).send_keys(Keys.TAB).perform()
        reached.add(page.driver.switch_to.active_element)
    assert reached == set(controls)


def test_nothing_is_wider_than_a_phone_of_360_pixels(page: Page, goldens: list[Golden]) -> None:
    phone = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        page.choose(*(golden.path for golden in goldens))
        page.wait_for(*["done"] * len(goldens))
        assert page.driver.execute_script("return document.documentElement.scrollWidth") == 360
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_request_leaves_for_another_host(page: Page, goldens: list[Golden], endpoint: str) -> None:
    page.choose(*(golden.path for golden in goldens))
    page.wait_for(*["done"] * len(goldens))
    page.switch_to("zh")
    assert page.requested_hosts() == {urlsplit(endpoint).netloc}
    assert page.console() == []
