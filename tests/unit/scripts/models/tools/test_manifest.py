"""model.toml is read back as it was written."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from scripts.models.tools.manifest import labels_file, model_toml
from worker.decode import Geometry, Pixels
from worker.models.folder import read_folder
from worker.models.input import Input
from worker.models.loaders import Description
from worker.models.output import Golden

RGB = (0.485, 0.456, 0.406)
GOLDEN = Golden(Path("golden/one.png"), 1, "dog", 0.75)


@pytest.mark.parametrize(
    ("geometry", "channel_values"),
    [
        (Geometry((224, 224), None, "bilinear"), RGB),
        (Geometry((96, 64), 100, "bicubic", "down"), RGB),
        (Geometry((224, 200), (256, 250), "bicubic", "down"), RGB),
        (Geometry((28, 28), 28, "nearest"), (0.1307,)),
        (Geometry((64, 64), (70, 64), "box"), (0.1, 0.2, 0.3, 0.4, 0.5)),
    ],
)
def test_a_written_input_is_read_back_and_drops_transparency(
    tmp_path: Path, geometry: Geometry, channel_values: tuple[float, ...]
) -> None:
    description = Description(
        loader="timm", architecture="test_vit", weights="w.pth", files={}, geometry=geometry,
        mean=channel_values, std=channel_values, labels={}, activation="softmax",
    )  # fmt: skip
    (tmp_path / "golden").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / GOLDEN.image)
    (tmp_path / "w.pth").write_bytes(b"weights")
    (tmp_path / labels_file("en")).write_text("cat\ndog\n")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    digests = {path.relative_to(tmp_path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (tmp_path / "model.toml").write_text(model_toml("small", description, digests, ["en"], GOLDEN))
    count = len(channel_values)
    pixels = Pixels(count) if Pixels(count).banded else Pixels(count, background=None)
    assert read_folder(tmp_path).input == Input(geometry, channel_values, channel_values, pixels, exact=False)
