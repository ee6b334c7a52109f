"""The documents' pictures are taken from a running page, whatever model it serves."""

from pathlib import Path

from PIL import Image
from selenium import webdriver

from tests.browser.screenshots import LANGUAGES, SHOTS, take


def test_a_picture_of_every_kind_and_language_is_taken_and_small(
    browser: webdriver.Chrome, endpoint: str, tmp_path: Path
) -> None:
    written = take(browser, endpoint, tmp_path / "new/pictures")
    assert {path.name for path in written} == {f"{shot.name}.{code}.png" for shot in SHOTS for code in LANGUAGES}
    widths = {shot.name: shot.width for shot in SHOTS}
    for path in written:
        with Image.open(path) as picture:
            assert (picture.mode, picture.width) == ("P", widths[path.name.partition(".")[0]])
            assert len(picture.getcolors() or ()) > 30  # more than an empty page has
        assert path.stat().st_size < 300_000
