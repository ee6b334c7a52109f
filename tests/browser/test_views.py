"""The views of the page: links, addresses and the back button lead to each, and everybody can use them."""

from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Sample
from tests.browser.page import Page
from tests.browser.reader import VISIBLE

VIEWS = ("classify", "teach", "cluster", "api")
# The view that is shown, once the link to it says so, too.
VIEW = f"""
const shown = arguments[0].filter((name) => document.getElementById(`view-${{name}}`).{VISIBLE});
const current = [...document.querySelectorAll("#views [aria-current=page]")].map((link) => link.hash.slice(1));
return `${{current}}` === `${{shown}}` ? shown[0] : "";
"""


def view(page: Page) -> str:
    return str(page.run(VIEW, VIEWS))


def wait_for_view(page: Page, name: str) -> None:
    page.wait(lambda: view(page) == name)


def go(page: Page, name: str) -> None:
    page.click(f"#views [href='#{name}']")
    wait_for_view(page, name)


def wait_until_filled(page: Page, name: str) -> None:
    part = {
        "classify": "#knows",
        "teach": "#view-teach .trouble",
        "cluster": "#view-cluster tbody tr",
        "api": "#view-api .operation",
    }[name]
    page.wait(lambda: any(page.texts(part)))


ADDRESSES = {"api": "api", "cluster": "cluster", "nothing": "classify", "toString": "classify"}


def test_links_the_back_button_and_addresses_lead_to_the_views(page: Page, endpoint: str) -> None:
    page.wait(lambda: (view(page), page.driver.title) == ("classify", "Wanwu · image classification"))
    go(page, "cluster")
    assert page.driver.title == "Cluster · Wanwu"
    page.wait(lambda: page.focused("#view-cluster h2"))
    go(page, "api")
    page.switch_to("zh")
    assert page.driver.title == "接口 · 万物"
    assert page.texts("#views a") == ["识别", "训练", "集群", "接口"]
    page.driver.back()
    page.wait(lambda: view(page) == "cluster")
    assert page.driver.title == "集群 · 万物"
    page.driver.back()
    page.wait(lambda: view(page) == "classify")
    for address, expected in ADDRESSES.items():
        page.driver.get("about:blank")
        page.driver.get(f"{endpoint}/#{address}")
        wait_for_view(page, expected)
    assert page.console() == []


def test_a_view_that_is_not_shown_asks_nothing_and_results_stay(page: Page, samples: list[Sample]) -> None:
    page.classify(samples[0].path)
    assert page.requests("/openapi.json") == []
    go(page, "cluster")
    page.wait(lambda: len(page.requests("/status")) > 3)
    go(page, "classify")
    assert page.best() == [samples[0].en]
    count = len(page.requests("/status"))
    page.wait(lambda: len(page.requests("/status")) > count)  # by the foot of the page, which asks each 5 s
    assert len(page.requests("/status")) == count + 1
    go(page, "cluster")
    page.drop(samples[1].path)
    wait_for_view(page, "classify")  # images go there from every view
    page.wait_for("done", "done")


def test_axe_finds_no_fault_in_a_view_and_none_is_wider_than_a_narrow_screen(page: Page) -> None:
    for name in VIEWS:
        go(page, name)
        wait_until_filled(page, name)
        for entry in range(len(page.all("#api-post-predict summary"))):
            page.click("#api-post-predict summary", entry)
        if name == "api":
            page.click("#api-post-v2-models-name-infer > summary")
        for language in ("en", "zh"):
            page.switch_to(language)
            assert page.faults() == []
            for width in (360, 320):  # a phone, and 1280 pixels at 400%
                with page.screen(width):
                    assert page.run("return document.documentElement.scrollWidth") == width


def test_the_views_are_reached_and_used_by_keyboard_alone(page: Page) -> None:
    page.tab_to("#views [href='#api']")
    page.press(Keys.ENTER)
    wait_until_filled(page, "api")
    page.tab_to("#code-curl")
    page.press(Keys.ARROW_RIGHT)
    page.wait(lambda: page.focused("#code-requests"))
    assert page.text("#code").startswith("import requests")
    page.press(Keys.END)
    page.wait(lambda: page.focused("#code-javascript"))
    page.tab_to("#api-post-predict summary")
    page.press(Keys.ENTER)
    page.wait(lambda: page.shown("#api-post-predict form"))
