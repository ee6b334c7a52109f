"""The views of an image, and their features in the file that keeps them."""

from pathlib import Path

import numpy as np
import pytest

from scripts.models.tools.teach.features import FINGERPRINT_BYTES, Seen, opened
from scripts.models.tools.teach.views import MAX_LOOKS, VIEWS, affordable, views


@pytest.mark.parametrize("shape", [(8, 6, 3), (5, 5, 1), (1, 1, 4)])
def test_views_have_the_size_of_the_image_and_the_first_is_the_image(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = views(pixels, len(VIEWS))
    assert [one.shape for one in found] == [shape] * len(VIEWS)
    assert (found[0] == pixels).all()
    assert (found[1] == pixels[:, ::-1]).all()


def test_few_images_are_seen_in_all_views_and_many_in_one() -> None:
    assert affordable(10) == len(VIEWS)
    assert affordable(MAX_LOOKS // 2) == 2
    assert affordable(10 * MAX_LOOKS) == 1


def test_an_image_is_read_in_the_views_that_are_wanted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    fingerprint = rng.integers(0, 256, FINGERPRINT_BYTES, np.uint8)
    seen = Seen(rng.normal(size=(3, 8)).astype(np.float32), fingerprint)
    digests = ["a" * 64, "b" * 64]
    with opened(tmp_path / "cache.8") as store:
        store.add(digests[0], Seen(seen.views[:1], fingerprint))
        store.add(digests[0], seen)
        store.add(digests[1], Seen(seen.views[:1], fingerprint))
    with opened(tmp_path / "cache.8") as store:
        found = dict(store.read({digests[0]: 2, digests[1]: 2, "c" * 64: 1}))
    assert [len(found[digest].views) for digest in digests] == [2, 1]
    assert (found[digests[0]].views == seen.views[:2]).all()
