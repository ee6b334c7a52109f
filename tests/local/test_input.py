"""Workers of models that take other images than RGB, or look at large ones in tiles, asked over HTTP."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import tifffile
import torch
from PIL import Image

from scripts.models.tools.manifest import labels_file, model_toml
from tests import images
from tests.local.worker_harness import WorkerProcess, running
from worker.decode import Geometry
from worker.models.loaders import Description
from worker.models.output import Golden

SIZE = 16
TILES = f"[input.tiles]\nsize = {SIZE}\nstride = {SIZE}\nmerge = 'max'\n"


class Means(torch.nn.Module):
    """Its logits are the mean of each channel."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mean(dim=(2, 3))


def folder(path: Path, channels: int, golden: bytes, score: float, more: str = "") -> Path:
    """A prepared folder of Means for so many channels, with a label for each, answering to 0..1 by themselves."""
    (path / "golden").mkdir(parents=True)
    (path / "golden/one").write_bytes(golden)
    network = ov.convert_model(Means(), example_input=torch.zeros(1, channels, SIZE, SIZE))
    network.reshape([-1, channels, SIZE, SIZE])
    ov.save_model(network, path / "m.xml", compress_to_fp16=False)
    (path / labels_file("en")).write_text("".join(f"band {number}\n" for number in range(channels)))
    found = Description(
        loader="openvino", architecture="", weights="m.xml", files={}, geometry=Geometry((SIZE, SIZE), None, "box"),
        mean=(0.0,) * channels, std=(1.0,) * channels, labels={}, activation="none",
    )  # fmt: skip
    files = [file for file in path.rglob("*") if file.is_file()]
    digests = {file.relative_to(path).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    answer = Golden(Path("golden/one"), channels - 1, f"band {channels - 1}", score)
    text = model_toml("means", found, digests, ["en"], answer).replace("\n[output]", f"{more}\n[output]", 1)
    (path / "model.toml").write_text(text)
    return path


def tiff(levels: list[int]) -> bytes:
    """A TIFF of 16 bits with a plain band of each of `levels`."""
    stream = io.BytesIO()
    bands = np.broadcast_to(np.array(levels, np.uint16), (20, 30, len(levels)))
    tifffile.imwrite(stream, bands, photometric="minisblack", planarconfig="contig", compression="deflate")
    return stream.getvalue()


def scores(worker: WorkerProcess, image: bytes) -> dict[str, float]:
    reply = worker.predict(image, "?top_k=9")
    assert reply.status == 200, reply.body
    return {row["label_en"]: row["score"] for row in reply.json["predictions"]}


@pytest.fixture(scope="module")
def bands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    home = tmp_path_factory.mktemp("bands")
    with running(folder(home / "m", 5, tiff([0, 0, 0, 0, 65535]), 1.0), home / "log") as process:
        yield process


def test_the_bands_of_a_tiff_reach_the_network_in_their_order(bands: WorkerProcess) -> None:
    found = scores(bands, tiff([0, 16384, 32768, 49152, 65535]))
    assert found == pytest.approx({f"band {number}": number / 4 for number in range(5)}, abs=0.01)


def test_an_image_with_fewer_bands_is_refused_over_http(bands: WorkerProcess) -> None:
    reply = bands.predict(images.encoded(images.photo(), "PNG"))
    assert reply.status == 422
    assert reply.json["error"]["code"] == "too_few_bands"


def test_a_grey_network_that_looks_in_tiles_finds_what_is_in_one_of_them(tmp_path: Path) -> None:
    white = images.encoded(Image.new("L", (SIZE, SIZE), 255), "PNG")
    image = Image.new("RGB", (SIZE * 4, SIZE * 3))
    image.paste((255, 255, 255), (SIZE * 2, SIZE, SIZE * 3, SIZE * 2))
    with running(folder(tmp_path / "m", 1, white, 1.0, TILES), tmp_path / "log") as worker:
        assert scores(worker, images.encoded(image, "PNG")) == {"band 0": pytest.approx(1, abs=0.01)}
        assert worker.metric("wanwu_batch_size_images_sum") == 12
        refused = worker.predict(images.encoded(Image.new("L", (SIZE * 9, SIZE * 8)), "PNG"))
    assert refused.status == 422
    assert refused.json["error"]["code"] == "too_many_tiles"
