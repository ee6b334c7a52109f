"""The settings of a zero-shot model: the user's own labels and the sentence that they are put into."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests import folders, zero_shot_folders
from tests.browser.page import Page
from tests.commands.services import ONE_WORKER
from tests.service import NO_DRAIN, Service, create, table


@pytest.fixture(scope="module")
def zero_shot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("clip")
    (home / "templates.txt").write_text("a photo of a {}.\n")
    source = zero_shot_folders.clip(home / "source")
    folders.image(folders.RED, (64, 64)).save(home / "red.png")
    given = ("--templates", home / "templates.txt", "--golden", home / "red.png")
    folder = zero_shot_folders.add_model(source, home / "clip", *given)
    running = create(home / "service", table("clip", folder), NO_DRAIN + ONE_WORKER)
    running.up()
    yield running
    running.down()


def test_images_are_told_apart_by_labels_of_ones_own(
    browser: webdriver.Chrome, zero_shot: Service, tmp_path: Path
) -> None:
    folders.image(folders.RED).save(tmp_path / "red.png")
    page = Page(browser, zero_shot.endpoint)
    page.click("#settings-button")
    page.wait(lambda: page.shown("#candidates"))
    page.type("#candidates", "a fox, running\n山\n\n")
    page.classify(tmp_path / "red.png")
    assert set(page.texts(".card .found > .bars .label")) == {"a fox, running", "山"}
    page.type("#template", "no place for a label")
    page.click("#rerun")
    page.wait_for("failed")
    assert page.text(".card .message") == "A setting is not valid"
    page.switch_to("zh")
    assert (page.text(".card .message"), page.text(".card .remedy")) == ("设置有误", "请检查“设置”中的内容。")
    page.clear("#template")
    page.type("#template", "一张{}的照片")
    page.click("#rerun")
    page.wait_for("done")
