"""What the page says of the model that is chosen, its examples, and that a model may be replaced meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from scripts.models import model_store
from tests import folders
from tests.browser.chromium import Page
from tests.browser.conftest import DESCRIBED, EXAMPLES, Sample
from tests.service import NO_DRAIN, Service, create

PAUSE_S = 0.5  # between two rounds of images, so that the cores are free for the swap
JAPANESE = "7 つの果物"
ENGLISH_ONLY = 'description = "Light and dark <b>things</b>"'


def test_the_model_is_described_in_both_languages(page: Page) -> None:
    assert page.text("#knows") == "fruit · 3 kinds of fruit, told apart by colour · 7 classes · Apache-2.0"
    assert page.one("#knows span").get_attribute("lang") == "en"
    page.switch_to("zh")
    assert page.text("#knows") == "fruit · 按颜色辨认水果 · 7 个类别 · Apache-2.0"
    assert page.one("#knows span").get_attribute("lang") == "zh"
    assert not page.one("#model").is_displayed()
    assert page.console() == []


def test_a_model_served_alone_is_not_named_in_a_request(page: Page, samples: list[Sample]) -> None:
    page.choose(*(sample.path for sample in samples))
    page.wait_for(*["done"] * len(samples))
    page.one(".card .look").click()
    page.wait(page.one("#overlay").is_displayed)
    assert page.models_asked() == [None] * (len(samples) + 1)


def test_an_example_that_is_clicked_is_classified_like_a_file(page: Page, samples: list[Sample], endpoint: str) -> None:
    buttons = page.all(".example")
    assert [button.accessible_name for button in buttons] == [sample.en for sample in samples]
    page.wait(
        lambda: all(
            page.driver.execute_script(
                "return [...document.querySelectorAll('.example img')].map((i) => i.naturalWidth)"
            )
        )
    )
    buttons[1].click()
    page.wait_for("done")
    assert page.best() == [samples[1].en]
    assert page.text(".card .file") == samples[1].en
    image = requests.get(f"{endpoint}/models/fruit/examples/1", timeout=60)
    wanted = requests.post(f"{endpoint}/predict", data=image.content, timeout=60).json()["predictions"][0]["score"]
    assert page.text(".card .found > .bars li:first-child .score") == f"{wanted:.1%}"
    page.all(".example")[2].click()
    page.wait_for("done", "done")
    assert page.best() == [samples[1].en, samples[2].en]
    assert page.console() == []


def test_examples_are_named_in_the_pages_language_and_used_by_keyboard_alone(page: Page, samples: list[Sample]) -> None:
    page.switch_to("zh")
    assert page.text("#try") == "试试这些示例："
    assert [button.accessible_name for button in page.all(".example")] == [sample.zh for sample in samples]
    keys = webdriver.ActionChains(page.driver)
    while page.driver.switch_to.active_element != page.all(".example")[0]:
        keys.send_keys(Keys.TAB).perform()
    keys.send_keys(Keys.ENTER).perform()
    page.wait_for("done")
    asked = page.requests("/status")
    page.wait(lambda: len(page.requests("/status")) > len(asked))
    assert page.driver.switch_to.active_element == page.all(".example")[0], "the next one is a key away"
    keys.send_keys(Keys.TAB, Keys.SPACE).perform()
    page.wait_for("done", "done")
    assert page.best() == [samples[0].zh, samples[1].zh]


def test_examples_give_way_to_images_of_ones_own_and_come_back(page: Page, samples: list[Sample]) -> None:
    assert page.one("#examples").is_displayed()
    page.choose(samples[0].path)
    page.wait_for("done")
    assert not page.one("#examples").is_displayed()
    page.one("#clear").click()
    assert page.one("#examples").is_displayed()


def test_an_example_that_cannot_be_fetched_is_said_to_be_lost(page: Page) -> None:
    with page.network(offline=True):
        page.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        page.all(".example")[0].click()
        page.wait(lambda: page.text("#note") == "The example could not be loaded.")
    assert page.states() == []


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Model folders that count as verified: `bright`, described in English alone, and `plums`, not at all."""
    models = tmp_path / "models"
    bright = folders.openvino_folder(models / "bright")
    toml = bright / "model.toml"
    toml.write_text(f"{ENGLISH_ONLY}\n{toml.read_text()}")
    for folder in (bright, folders.fruit_folder(models / "plums", name="plums")):
        model_store.record(models, folder, good=True)
    return models


def table(folder: Path) -> str:
    return f'[[models]]\nname = "{folder.name}"\nfolder = "{folder}"\n'


@pytest.fixture
def pair(models: Path, tmp_path: Path) -> Iterator[Service]:
    """A service of two models: fruit, with examples, and bright."""
    fruit = folders.fruit_folder(tmp_path / "fruit", extra=DESCRIBED, examples=EXAMPLES)
    running = create(tmp_path / "service", table(fruit) + table(models / "bright"), NO_DRAIN)
    running.up()
    yield running
    running.down()


def use(service: Service, models: Path, *arguments: str) -> None:
    done = service.make("use", f"MODELS={models}", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_of_several_models_the_chosen_one_is_shown_and_asked_and_may_be_replaced(
    browser: webdriver.Chrome, pair: Service, models: Path, samples: list[Sample]
) -> None:
    page = Page(browser, pair.endpoint)
    choice = Select(page.one("#model"))
    assert page.texts("#model option") == ["fruit", "bright"]
    assert page.text("#knows") == "3 kinds of fruit, told apart by colour · 7 classes · Apache-2.0"
    choice.select_by_value("bright")
    assert page.text("#knows") == "Light and dark <b>things</b> · 3 classes"
    assert not page.one("#examples").is_displayed()
    page.switch_to("zh")
    assert page.text("#knows") == "Light and dark <b>things</b> · 3 个类别"
    assert page.one("#knows span").get_attribute("lang") == "en"
    page.switch_to("en")
    page.choose(samples[0].path)
    page.wait_for("done")
    assert page.best() == ["cat"]

    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": [f"{pair.endpoint}/status"]})
    use(pair, models, "NAME=plums", "INSTEAD_OF=bright")
    page.choose(samples[2].path)
    page.wait(lambda: page.text("#trouble") == "The model is being replaced. 1 image waits and continues by itself.")
    page.driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    page.wait_for("done", "done")
    assert page.best() == ["cat", samples[2].en]
    assert page.text("#note") == "Model bright is no longer served; fruit answers the remaining images."
    assert page.texts("#model option") == ["fruit", "plums"]
    assert page.one("#model").get_attribute("value") == "fruit"
    choice.select_by_value("plums")
    assert page.text("#knows") == "7 classes"
    page.one("#settings-button").click()
    page.one("#rerun").click()
    page.wait(lambda: page.best() == [samples[0].en, samples[2].en])
    asked = page.models_asked()
    assert [asked[0], *asked[-3:]] == ["bright", None, "plums", "plums"]
    assert set(asked[1:-3]) == {"bright"}


def test_a_model_served_alone_is_replaced_while_images_are_sent_and_none_is_lost(
    browser: webdriver.Chrome, models: Path, samples: list[Sample], tmp_path: Path
) -> None:
    service = create(tmp_path / "service", table(models / "bright"), NO_DRAIN)
    service.up()
    try:
        page = Page(browser, service.endpoint)
        assert page.text("#knows") == "bright · Light and dark <b>things</b> · 3 classes"
        found = set()
        with ThreadPoolExecutor(1) as pool:
            swap = pool.submit(use, service, models, "NAME=plums")
            swapped = False
            while not swapped:
                swapped = bool(wait([swap], PAUSE_S).done)  # the last round begins after it
                page.choose(*[samples[2].path] * 8)
                page.wait_for(*["done"] * 8)
                found |= {*page.best()}
                page.one("#clear").click()
            swap.result()
        assert found == {"tea", "plum"}
        assert set(page.models_asked()) == {None}
        page.wait(lambda: page.text("#knows") == "plums · 7 classes")
        page.choose(samples[2].path)
        page.wait_for("done")
        toml = models / "plums/model.toml"
        toml.write_text(toml.read_text().replace('version = "1"', f'version = "2"\ndescription.ja = "{JAPANESE}"'))
        assert service.make("rollout").returncode == 0
        page.wait(lambda: page.text("#knows") == f"plums · {JAPANESE}")
        assert page.one("#knows span").get_attribute("lang") == "ja"
        page.one(".card .look").click()
        page.wait(lambda: page.text("#heat-message").startswith("This model is no longer served"))
        assert page.best() == ["plum"], "the answer of the model that was served stays"
        assert page.console() == []
    finally:
        service.down()
