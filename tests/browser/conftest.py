"""What the browser tests share: a browser, and a service whose model says what it knows and what it is not sure of."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium import webdriver

from nginx.gate.__main__ import INTERVAL_VARIABLE
from tests import folders
from tests.browser.chromium import chromium
from tests.browser.page import Page
from tests.service import NO_DRAIN, Service, create, table

EXAMPLES = (folders.RED, folders.GREEN, folders.BLUE)
DESCRIBED = """
description = { en = "3 kinds of fruit, told apart by colour", zh = "按颜色辨认水果" }
licence = "Apache-2.0"
"""
UNSURE = "unsure_below = 0.6"
SELDOM_S = "2"  # between two probes of workers that stay


@dataclass(frozen=True)
class Sample:
    """An image file, and the labels that it gets."""

    path: Path
    en: str
    zh: str


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One model, with descriptions, examples, attributes and a score below which it is not sure."""
    home = tmp_path_factory.mktemp("fruit")
    folder = folders.fruit_folder(home / "model", extra=DESCRIBED, output=UNSURE, examples=EXAMPLES)
    running = create(home / "service", table("fruit", folder), NO_DRAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(INTERVAL_VARIABLE, SELDOM_S)
        running.up()
    yield running
    running.down()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with chromium(tmp_path_factory.mktemp("profile"), "en-US") as driver:
        yield driver


@pytest.fixture
def page(browser: webdriver.Chrome, endpoint: str) -> Page:
    return Page(browser, endpoint)


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """An image of every fruit."""
    home = tmp_path_factory.mktemp("samples")
    labels = zip(folders.FRUIT["en"], folders.FRUIT["zh"], strict=True)
    found = [Sample(home / f"{en}.jpg", en, zh) for (en, zh), _ in zip(labels, EXAMPLES, strict=False)]
    for sample, colour in zip(found, EXAMPLES, strict=True):
        folders.image(colour, (480, 400)).save(sample.path)
    return found


@pytest.fixture(scope="session")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image in ImageNet's mean colour, in which no fruit stands out."""
    path = tmp_path_factory.mktemp("doubtful") / "mud.png"
    folders.image((124, 116, 104)).save(path)
    return path
