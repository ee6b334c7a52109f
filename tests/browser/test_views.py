"""The views of the page: links, addresses and the back button lead to each, and everybody can use them."""

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import Page
from tests.browser.conftest import Sample

VIEWS = ("classify", "teach", "cluster", "api")


def view(page: Page) -> str:
    """The view that is shown, once the link to it says so, too."""
    shown = [name for name in VIEWS if page.one(f"#view-{name}").is_displayed()]
    current = [link.get_attribute("hash") for link in page.all("#views [aria-current=page]")]
    return shown[0] if current == [f"#{name}" for name in shown] else ""


def wait_for_view(page: Page, name: str) -> None:
    page.wait(lambda: view(page) == name)


def go(page: Page, name: str) -> None:
    page.one(f"#views [href='#{name}']").click()
    wait_for_view(page, name)


def wait_until_filled(page: Page, name: str) -> None:
    part = {
        "classify": "#knows",
        "teach": "#view-teach .trouble",
        "cluster": "#view-cluster tbody tr",
        "api": "#view-api .operation",
    }[name]
    page.wait(lambda: any(page.texts(part)))


def test_links_and_the_back_button_lead_to_the_views(page: Page) -> None:
    page.wait(lambda: (view(page), page.driver.title) == ("classify", "Wanwu · image classification"))
    go(page, "cluster")
    assert page.driver.title == "Cluster · Wanwu"
    assert page.driver.switch_to.active_element == page.one("#view-cluster h2")
    go(page, "api")
    page.switch_to("zh")
    assert page.driver.title == "接口 · 万物"
    assert page.texts("#views a") == ["识别", "训练", "集群", "接口"]
    page.driver.back()
    page.wait(lambda: view(page) == "cluster")
    assert page.driver.title == "集群 · 万物"
    page.driver.back()
    page.wait(lambda: view(page) == "classify")
    assert page.console() == []


ADDRESSES = {"api": "api", "cluster": "cluster", "nothing": "classify", "toString": "classify"}


def test_an_address_leads_to_its_view(page: Page, endpoint: str) -> None:
    for address, expected in ADDRESSES.items():
        page.driver.get("about:blank")
        page.driver.get(f"{endpoint}/#{address}")
        wait_for_view(page, expected)


def test_a_view_that_is_not_shown_asks_nothing_and_results_stay(page: Page, samples: list[Sample]) -> None:
    page.choose(samples[0].path)
    page.wait_for("done")
    assert page.requests("/openapi.json") == []
    go(page, "cluster")
    page.wait(lambda: len(page.requests("/status")) > 3)
    go(page, "classify")
    assert page.best() == [samples[0].en]
    count = len(page.requests("/status"))
    page.wait(lambda: len(page.requests("/status")) > count)  # by the foot of the page, which asks each 5 s
    assert len(page.requests("/status")) == count + 1


def test_images_that_are_dropped_on_another_view_are_classified(page: Page, samples: list[Sample]) -> None:
    go(page, "cluster")
    page.drop(samples[0].path)
    page.wait(lambda: view(page) == "classify")
    page.wait_for("done")


@pytest.mark.parametrize("name", VIEWS)
def test_axe_finds_no_fault_in_either_language(page: Page, name: str) -> None:
    go(page, name)
    wait_until_filled(page, name)
    for entry in page.all("#api-post-predict summary"):
        entry.click()
    for language in ("en", "zh"):
        page.switch_to(language)
        assert page.faults() == []


@pytest.mark.parametrize("width", [360, 320])  # a phone, and 1280 pixels at 400%
def test_no_view_is_wider_than_a_narrow_screen(page: Page, width: int) -> None:
    narrow = {"width": width, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    try:
        for name in VIEWS:
            go(page, name)
            wait_until_filled(page, name)
            for entry in page.all("#api-post-predict summary, #api-post-v2-models-name-infer summary"):
                entry.click()
            for language in ("zh", "en"):
                page.switch_to(language)
                assert page.driver.execute_script("return document.documentElement.scrollWidth") == width
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_views_are_reached_and_used_by_keyboard_alone(page: Page) -> None:
    keys = webdriver.ActionChains(page.driver)
    while page.driver.switch_to.active_element != page.one("#views [href='#api']"):
        keys.send_keys(Keys.TAB).perform()
    keys.send_keys(Keys.ENTER).perform()
    wait_until_filled(page, "api")
    while page.driver.switch_to.active_element != page.one("#code-curl"):
        keys.send_keys(Keys.TAB).perform()
    keys.send_keys(Keys.ARROW_RIGHT).perform()
    assert page.driver.switch_to.active_element == page.one("#code-requests")
    assert page.text("#code").startswith("import requests")
    keys.send_keys(Keys.END).perform()
    assert page.driver.switch_to.active_element == page.one("#code-javascript")
    while page.driver.switch_to.active_element != page.one("#api-post-predict summary"):
        keys.send_keys(Keys.TAB).perform()
    keys.send_keys(Keys.ENTER).perform()
    page.wait(lambda: page.one("#api-post-predict form").is_displayed())
