"""What images may cost: memory that they hold together, and work that their header announces."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests import images
from tests.errors import code_of
from worker.contract.errors import ErrorCode, ServiceError
from worker.decode import COLOUR, Bounds, Budget, Geometry, decode, open_image, vips
from worker.decode.budget import MEGABYTE, no_deadline
from worker.decode.webp import MAX_FRAMES

SMALL = Geometry((32, 32), None, "bilinear")


def passed() -> float:
    raise ServiceError(ErrorCode.DEADLINE, "passed")


def test_what_is_larger_than_the_whole_budget_is_refused_at_once() -> None:
    with pytest.raises(ServiceError) as refused, Budget(5 * MEGABYTE).hold(6 * MEGABYTE, no_deadline):
        pass
    assert refused.value.code is ErrorCode.IMAGE_TOO_COSTLY


def test_what_does_not_fit_now_waits_until_it_does() -> None:
    budget, entered = Budget(10), threading.Event()

    def second() -> None:
        with budget.hold(6, no_deadline):
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with budget.hold(5, no_deadline):
            waiting = pool.submit(second)
            with budget.hold(5, no_deadline):
                assert not entered.is_set()
        waiting.result(30)
    assert entered.is_set()


def test_the_wait_ends_with_the_deadline_and_leaves_the_budget_as_it_was() -> None:
    budget = Budget(10)
    with budget.hold(6, no_deadline):
        with pytest.raises(ServiceError) as refused, budget.hold(6, passed):
            pass
        assert refused.value.code is ErrorCode.DEADLINE
    with budget.hold(10, no_deadline):
        pass


@pytest.mark.parametrize("kind", ["WebP", "GIF", "AVIF"])
def test_formats_that_need_the_whole_image_are_refused_by_their_header(kind: str) -> None:
    data = images.encoded(images.photo((640, 480)), kind)
    bounds = Bounds(budget=Budget(1_000_000))
    assert open_image(data, bounds, COLOUR).size == (640, 480)
    assert code_of(decode, data, SMALL, bounds) is ErrorCode.IMAGE_TOO_COSTLY


def test_a_png_is_a_stream_unless_it_is_interlaced() -> None:
    data = images.encoded(images.photo((640, 480)), "PNG")
    assert decode(data, SMALL, Bounds(budget=Budget(1_000_000))).shape == (32, 32, 3)


def test_decoding_ends_with_the_deadline() -> None:
    image = vips.open_lazily(images.encoded(images.photo((3000, 2000)), "PNG"), "PNG")
    checks = list[int]()

    def left() -> float:
        checks.append(1)
        return passed() if len(checks) > 2 else 1.0

    assert code_of(vips.to_array, image, left) is ErrorCode.DEADLINE


def test_more_frames_than_a_webp_may_have_are_refused_before_they_are_read() -> None:
    data = images.encoded(images.photo(), "WebP") + b"ANMF" * (MAX_FRAMES + 1)
    assert code_of(open_image, data, Bounds(), COLOUR) is ErrorCode.IMAGE_TOO_COSTLY


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF"])
def test_a_large_image_shrunk_on_the_way_is_nearly_the_whole_one(kind: str) -> None:
    """The mean difference of photographs is below a grey level; these are random shapes."""
    data, geometry = images.encoded(images.photo((1900, 1400)), kind), Geometry((224, 224), 256, "bicubic")
    shrunk, whole = (decode(data, geometry, exact=exact).astype(int) for exact in (False, True))
    assert not np.array_equal(shrunk, whole)
    assert np.abs(shrunk - whole).mean() < 1.5
