"""The thumbnails of a report."""

from pathlib import Path

from scripts.models.tools.evaluate.thumbnails import data_urls
from tests.folders import RED, image
from worker.decode import COLOUR, Pixels


def test_a_thumbnail_is_a_small_jpeg_and_a_missing_file_has_none(tmp_path: Path) -> None:
    image(RED, (900, 600)).save(tmp_path / "large.png")
    url, none = data_urls([tmp_path / "large.png", tmp_path / "gone.png"], COLOUR)
    assert url.startswith("data:image/jpeg;base64,/9j/")
    assert len(url) < 20_000
    assert none == ""
    (grey,) = data_urls([tmp_path / "large.png"], Pixels(1))
    assert len(grey) < len(url)
