"""Image files are known by their suffix, or else by their first bytes."""

from pathlib import Path

import pytest

from scripts.base.image_files import is_image_file
from tests import folders, images
from worker.decode import sniff


@pytest.mark.parametrize("name", ["a.jpg", "A.JPEG", "b.HeIc", "c.tiff", "中文.webp"])
def test_a_suffix_is_enough(tmp_path: Path, name: str) -> None:
    assert is_image_file(tmp_path / name)  # which need not be there


@pytest.mark.parametrize("kind", sorted({*images.SERVED} - {"BMP"}))
def test_first_bytes_are_enough_as_for_the_service(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "no suffix"
    path.write_bytes(images.encoded(folders.image(folders.RED), kind))
    assert is_image_file(path)
    assert sniff(path.read_bytes())


@pytest.mark.parametrize("data", [b"", b"BM is how this text begins", b"RIFF....WAVE", b"%PDF-1.7", b"\xff\xd8"])
def test_other_files_are_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(data)
    assert not is_image_file(path)
