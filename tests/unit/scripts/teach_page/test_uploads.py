"""Images on their way into a staging folder: names, limits, and what is left of a body that broke off."""

import io
from pathlib import Path

import pytest

from scripts.teach_page import uploads
from scripts.teach_page.errors import Code, Refused
from scripts.teach_page.uploads import Upload


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    return Upload(tmp_path / "models", "parts")


def add(upload: Upload, class_name: str, file_name: str, part: str = "", data: bytes = b"image") -> None:
    upload.add(class_name, part, file_name, io.BytesIO(data), len(data))


def files(upload: Upload) -> dict[str, bytes]:
    paths = sorted(path for path in upload.images.rglob("*") if path.is_file())
    return {str(path.relative_to(upload.images)): path.read_bytes() for path in paths}


def test_images_lie_in_their_classes_under_their_own_names(upload: Upload) -> None:
    add(upload, "猫_cat", "1.jpg")
    add(upload, " 猫_cat ", "1.jpg", data=b"other")
    add(upload, "dog", "宠物 2.png", part="val")
    assert files(upload) == {"猫_cat/1.jpg": b"image", "猫_cat/2-1.jpg": b"other", "val/dog/宠物 2.png": b"image"}
    assert (upload.classes, upload.bytes) == ({"猫_cat": 2, "dog": 1}, 15)
    upload.remove()
    assert list(upload.images.parent.parent.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "/etc", ".hidden", "a\nb", "a\0b", "x" * 201, "\ud800"]
)
def test_no_name_leads_out_of_the_folder(upload: Upload, name: str) -> None:
    with pytest.raises(Refused) as refused:
        add(upload, name, "1.jpg")
    assert refused.value.code == Code.BAD_CLASS
    add(upload, "cat", name)
    assert [*files(upload)] == ["cat/image"]
    with pytest.raises(Refused, match="part"):
        add(upload, "cat", "1.jpg", part="../val")


def test_a_body_that_breaks_off_leaves_nothing(upload: Upload) -> None:
    with pytest.raises(Refused, match="found 5 bytes, needed 9"):
        upload.add("cat", "", "1.jpg", io.BytesIO(b"image"), 9)
    assert (files(upload), upload.bytes, upload.classes.total()) == ({}, 0, 0)


@pytest.mark.parametrize(
    ("limit", "value", "code"),
    [
        ("MAX_CLASSES", 1, Code.TOO_MANY),
        ("MAX_IMAGES", 1, Code.TOO_MANY),
        ("MAX_BYTES", 9, Code.TOO_MANY),
        ("SPARE_BYTES", 1 << 60, Code.NO_SPACE),
    ],
)
def test_an_upload_is_bounded(
    upload: Upload, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, code: Code
) -> None:
    add(upload, "cat", "1.jpg")
    monkeypatch.setattr(uploads, limit, value)
    with pytest.raises(Refused) as refused:
        add(upload, "dog", "1.jpg")
    assert refused.value.code == code
    assert [*files(upload)] == ["cat/1.jpg"]


def test_an_image_that_comes_too_late_brings_nothing_back(upload: Upload) -> None:
    class Late(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            upload.remove()
            return super().read(size)

    upload.add("cat", "", "1.jpg", Late(b"image"), 5)
    with pytest.raises(Refused) as refused:
        add(upload, "cat", "2.jpg")
    assert refused.value.code == Code.NO_UPLOAD
    assert list(upload.images.parent.parent.iterdir()) == []
