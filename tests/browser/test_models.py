"""What the page says of the model that is chosen, its examples, and that a model may be replaced meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from scripts.models.verified import record
from tests import folders
from tests.browser.conftest import DESCRIBED, EXAMPLES, Sample
from tests.browser.page import Page
from tests.service import NO_DRAIN, Service, create, table

PAUSE_S = 2  # between two rounds of images, so that the cores are free for the swap
JAPANESE = "7 つの果物"
LOADED = "return [...document.querySelectorAll('.example img')].map((image) => image.naturalWidth)"
ENGLISH_ONLY = 'description = "Light and dark <b>things</b>"'


def test_the_model_is_described_in_both_languages_and_not_named_where_it_is_served_alone(
    page: Page, samples: list[Sample]
) -> None:
    assert page.text("#knows") == "fruit · 3 kinds of fruit, told apart by colour · 7 classes · Apache-2.0"
    assert page.value("#knows span", "lang") == "en"
    page.switch_to("zh")
    assert page.text("#knows") == "fruit · 按颜色辨认水果 · 7 个类别 · Apache-2.0"
    assert page.value("#knows span", "lang") == "zh"
    assert not page.shown("#model")
    assert page.shown("#examples")
    page.classify(samples[0].path)
    assert not page.shown("#examples"), "they give way to images of one's own"
    page.click(".card .look")
    page.wait(lambda: page.shown("#overlay"))
    assert page.models_asked() == [None, None]
    page.click("#large-close")
    page.click("#clear")
    assert page.shown("#examples")
    assert page.console() == []


def test_an_example_is_classified_like_a_file_by_a_click_or_by_keyboard_alone(
    page: Page, samples: list[Sample], endpoint: str
) -> None:
    assert page.names(".example") == [sample.en for sample in samples]
    page.wait(lambda: all(page.run(LOADED)))
    page.click(".example", 1)
    page.wait_for("done")
    assert page.best() == [samples[1].en]
    assert page.text(".card .file") == samples[1].en
    image = requests.get(f"{endpoint}/models/fruit/examples/1", timeout=60)
    wanted = requests.post(f"{endpoint}/predict", data=image.content, timeout=60).json()["predictions"][0]["score"]
    assert page.text(".card .found > .bars li:first-child .score") == f"{wanted:.1%}"
    assert page.console() == []
    page.click("#clear")
    page.switch_to("zh")
    assert page.text("#try") == "试试这些示例："
    assert page.names(".example") == [sample.zh for sample in samples]
    page.tab_to(".example")
    page.press(Keys.ENTER)
    page.wait_for("done")
    asked = page.requests("/status")
    page.wait(lambda: len(page.requests("/status")) > len(asked))
    page.wait(lambda: page.focused(".example:first-child"))  # the next one is a key away
    page.press(Keys.TAB, Keys.SPACE)
    page.wait_for("done", "done")
    assert page.best() == [samples[0].zh, samples[1].zh]
    page.click("#clear")
    page.switch_to("en")
    with page.network(offline=True):
        page.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        page.click(".example")
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
        record(models, folder, good=True)
    return models


@pytest.fixture
def pair(models: Path, tmp_path: Path) -> Iterator[Service]:
    """A service of two models: fruit, with examples, and bright."""
    fruit = folders.fruit_folder(tmp_path / "fruit", extra=DESCRIBED, examples=EXAMPLES)
    running = create(tmp_path / "service", table(fruit.name, fruit) + table("bright", models / "bright"), NO_DRAIN)
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
    assert page.texts("#model option") == ["fruit", "bright"]
    assert page.text("#knows") == "3 kinds of fruit, told apart by colour · 7 classes · Apache-2.0"
    page.pick("#model", "bright")
    assert page.text("#knows") == "Light and dark <b>things</b> · 3 classes"
    assert not page.shown("#examples")
    page.switch_to("zh")
    assert page.text("#knows") == "Light and dark <b>things</b> · 3 个类别"
    assert page.value("#knows span", "lang") == "en"
    page.switch_to("en")
    page.classify(samples[0].path)
    assert page.best() == ["cat"]

    with page.blocked("/status"):
        use(pair, models, "NAME=plums", "INSTEAD_OF=bright")
        page.choose(samples[2].path)
        waits = "The model is being replaced. 1 image waits and continues by itself."
        page.wait(lambda: page.text("#trouble") == waits)
    page.wait_for("done", "done")
    assert page.best() == ["cat", samples[2].en]
    assert page.text("#note") == "Model bright is no longer served; fruit answers the remaining images."
    assert page.texts("#model option") == ["fruit", "plums"]
    assert page.value("#model", "value") == "fruit"
    page.pick("#model", "plums")
    assert page.text("#knows") == "7 classes"
    page.click("#settings-button")
    page.click("#rerun")
    page.wait(lambda: page.best() == [samples[0].en, samples[2].en])
    asked = page.models_asked()
    assert [asked[0], *asked[-3:]] == ["bright", None, "plums", "plums"]
    assert set(asked[1:-3]) == {"bright"}


def test_a_model_served_alone_is_replaced_while_images_are_sent_and_none_is_lost(
    browser: webdriver.Chrome, models: Path, samples: list[Sample], tmp_path: Path
) -> None:
    service = create(tmp_path / "service", table("bright", models / "bright"), NO_DRAIN)
    service.up()
    try:
        page = Page(browser, service.endpoint)
        assert page.text("#knows") == "bright · Light and dark <b>things</b> · 3 classes"
        found = set()
        with ThreadPoolExecutor(1) as pool:
            swap = pool.submit(use, service, models, "NAME=plums")
            swapped = False
            while not swapped:
                swapped = swap.done()  # the last round begins after it
                page.classify(*[samples[2].path] * 4)
                found |= {*page.best()}
                page.click("#clear")
                wait([swap], PAUSE_S)
            swap.result()
        assert found == {"tea", "plum"}
        assert set(page.models_asked()) == {None}
        page.wait(lambda: page.text("#knows") == "plums · 7 classes")
        page.classify(samples[2].path)
        toml = models / "plums/model.toml"
        toml.write_text(toml.read_text().replace('version = "1"', f'version = "2"\ndescription.ja = "{JAPANESE}"'))
        assert service.make("rollout").returncode == 0
        page.wait(lambda: page.text("#knows") == f"plums · {JAPANESE}")
        assert page.value("#knows span", "lang") == "ja"
        page.click(".card .look")
        page.wait(lambda: page.text("#heat-message").startswith("This model is no longer served"))
        assert page.best() == ["plum"], "the answer of the model that was served stays"
        assert page.console() == []
    finally:
        service.down()
