"""How images are sent: large ones scaled, the rest as they are; what waits while the service is away; the settings."""

import io
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from selenium import webdriver

from tests import folders
from tests.browser.conftest import EXAMPLES, Sample
from tests.browser.page import Page
from tests.hostile.jpeg import many_scans
from tests.service import NO_DRAIN, Service, create, table
from tests.wait import until
from worker.contract.error_codes import ErrorCode

BELOW = 200_000  # bytes; a scaled image of the fruit model's size has far fewer
ORIENTATION = 0x0112  # the tag of EXIF
SIZES = re.compile(r"([\d.]+) (kB|MB) \(original ([\d.]+) MB\)")


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 6 megapixels that lies on its side: upright, its centre is red and its ends are blue."""
    width, height, end = 2800, 2100, 600
    colours = Image.new("RGB", (width, height), folders.RED)
    for left in (0, width - end):
        colours.paste(folders.BLUE, (left, 0, left + end, height))
    noise = Image.effect_noise((width, height), 40).convert("RGB")
    image = Image.blend(noise, colours, 0.9)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = tmp_path_factory.mktemp("photograph") / "photo.jpg"
    image.save(path, quality=95, exif=exif)
    return path


def sent(page: Page) -> str:
    """What the large view of the only image says was sent."""
    page.click(".card .frame")
    (size,) = (text for text in page.texts("#large .details dd") if text.endswith(("kB", "MB", ")")))
    page.click("#large-close")
    return size


def score(page: Page) -> float:
    return float(page.text(".card .found > .bars li:first-child .score").rstrip("%")) / 100


def test_a_large_photograph_is_scaled_before_it_is_sent_unless_the_original_is_wanted(
    page: Page, photograph: Path, endpoint: str
) -> None:
    page.classify(photograph)
    found = SIZES.fullmatch(sent(page))
    assert found, "two sizes are named"
    assert (float(found[1]) < BELOW / 1000, found[2]) == (True, "kB")
    answer = requests.post(f"{endpoint}/predict", data=photograph.read_bytes(), timeout=60).json()
    best = answer["predictions"][0]
    assert page.best() == [best["label_en"]]
    assert score(page) == pytest.approx(best["score"], abs=0.05)
    page.click("#clear")
    page.click("#settings-button")
    page.click("#originals")
    page.classify(photograph)
    assert re.fullmatch(r"[\d.]+ MB", sent(page))
    assert score(page) == pytest.approx(best["score"], abs=0.001)


ENCODE = """
const [pixels, width, height, done] = arguments;
const plane = (channel) => Float32Array.from({ length: width * height }, (_, place) => pixels[3 * place + channel]);
const image = { width, height, planes: [0, 1, 2].map(plane) };
import("/scaling/jpeg.js").then(({ jpegOf }) => done([...jpegOf(image, 90)]), (fault) => done(`${fault}`));
"""


def test_the_pages_own_jpeg_is_as_good_as_pillows_and_keeps_all_colours(page: Page) -> None:
    for size in ((1, 1), (61, 45)):
        image = Image.merge("RGB", [Image.effect_noise(size, spread) for spread in (20, 60, 90)])
        own = JpegImageFile(io.BytesIO(bytes(page.driver.execute_async_script(ENCODE, list(image.tobytes()), *size))))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=90, subsampling=0)
        pillows = JpegImageFile(io.BytesIO(file.getvalue()))
        assert (own.size, own.layer, own.quantization) == (size, pillows.layer, pillows.quantization)
        errors = [np.abs(np.asarray(one, float) - np.asarray(image, float)).mean() for one in (own, pillows)]
        assert errors[0] < errors[1] + 1.5  # levels: a single pixel may be rounded another way


def test_what_the_browser_cannot_show_or_what_is_transparent_is_sent_as_it_is(page: Page, tmp_path: Path) -> None:
    picture = Image.effect_noise((750, 600), 60).convert("RGB")
    transparent = picture.copy()
    transparent.putalpha(200)
    for kind, image in {"tiff": picture, "png": transparent}.items():
        path = tmp_path / f"large.{kind}"
        image.save(path)
        assert path.stat().st_size > BELOW
        page.classify(path)
        assert re.fullmatch(r"[\d.]+ (kB|MB)", sent(page))
        page.click("#clear")


def test_the_progress_of_an_upload_is_said(page: Page, photograph: Path) -> None:
    page.click("#settings-button")
    page.click("#originals")
    with page.network(upload_bytes_s=10_000):  # minutes, far longer than it takes to be seen; it ends with the block
        page.choose(photograph)
        page.wait(lambda: re.fullmatch(r"Uploading \d+\.\d%", page.text(".card .message")))
        page.switch_to("zh")
        page.wait(lambda: re.fullmatch(r"上传中 \d+\.\d%", page.text(".card .message")))
        page.click("#stop")
        page.wait_for("stopped")


# How the waiting image and the progress of all move.
MOVING = """
return [[".card .message", null, "animationName"], ["#progress", "::before", "transitionDuration"]].map(
  ([selector, part, name]) => getComputedStyle(document.querySelector(selector), part)[name]);
"""


ASK = """
const [silenceMs, done] = arguments;
import("/http.js")
  .then(({ request }) => request("predict", { method: "POST", body: "an image", silenceMs }))
  .then(({ status }) => done(`${status}`), ({ message }) => done(message));
"""


def test_a_request_that_the_network_swallows_ends_and_nothing_moves_for_a_user_who_prefers_that(
    page: Page, samples: list[Sample]
) -> None:
    assert page.driver.execute_async_script(ASK, 600_000) == "415"
    with page.network(latency_ms=600_000):
        assert page.driver.execute_async_script(ASK, 500) == "no answer: POST predict"
        page.choose(samples[0].path)
        page.wait_for("sending")
        with page.media(reduced_motion="no-preference"):
            assert page.run(MOVING) == ["breathe", "0.2s, 0.6s"]
        with page.media(reduced_motion="reduce"):
            assert page.run(MOVING) == ["none", "0s"]
        page.click("#stop")


def test_while_the_service_is_away_the_images_wait_and_go_on_by_themselves(page: Page, samples: list[Sample]) -> None:
    answering = page.text("#workers")
    with page.network(offline=True):
        page.choose(*(sample.path for sample in samples))
        waiting = "The service cannot be reached. 3 images wait and continue by themselves."
        page.wait(lambda: page.text("#trouble") == waiting)
        assert "failed" not in page.states()
        page.wait(lambda: page.text("#workers") == "The service is not responding")
        page.switch_to("zh")
        assert page.text("#trouble") == "无法连接服务。 3 张图片正在等待，恢复后自动继续。"
        page.switch_to("en")
    page.wait_for("done", "done", "done")
    assert page.best() == [sample.en for sample in samples]
    page.wait(lambda: not page.shown("#banner"))
    page.wait(lambda: page.text("#workers") == answering)


def test_a_file_that_is_gone_is_named_and_the_others_are_answered(
    page: Page, samples: list[Sample], tmp_path: Path
) -> None:
    gone = tmp_path / "gone.jpg"
    gone.write_bytes(samples[0].path.read_bytes())
    with page.network(offline=True):
        page.choose(gone, samples[1].path)
        page.wait(lambda: page.text("#trouble").startswith("The service cannot be reached."))
        gone.unlink()
    page.wait_for("failed", "done")
    assert page.texts(".card .message")[0] == "The file cannot be read"
    assert page.texts(".card .file")[0] == "gone.jpg"


def test_the_settings_go_with_the_images_and_again_with_all_of_them(page: Page, doubtful: Path) -> None:
    page.click("#settings-button")
    page.type("#top-k", "2")
    page.classify(doubtful)
    assert len(page.texts(".card .found > .bars li")) == 2
    page.clear("#top-k")
    page.type("#threshold", "99.5")
    page.click("#rerun")
    page.wait(lambda: page.texts(".card .message") == ["No class reaches the lowest score."])
    assert page.requests("/predict")[-1]["threshold"] == ["0.995"]
    page.switch_to("zh")
    assert page.texts(".card .message") == ["没有类别达到最低得分。"]


TEXTS = """
const done = arguments[0];
const parts = ["page", "sending", "results", "errors"].map((name) => import(`/texts/${name}.js`));
const keys = (texts) => Object.entries(texts).flatMap(([key, value]) =>
  typeof value === "object" ? Object.keys(value).map((inner) => `${key}.${inner}`) : [key]);
const used = [...document.querySelectorAll("[data-text]")].map((element) => element.dataset.text);
Promise.all(parts).then((all) => done([all.map(({ TEXTS }) => [keys(TEXTS.zh), keys(TEXTS.en)]), used]));
"""


def test_every_text_and_every_error_code_is_there_in_both_languages(page: Page) -> None:
    parts, used = page.driver.execute_async_script(TEXTS)
    for chinese, english in parts:
        assert chinese == english
    assert {*used, *(f"refused.{code}" for code in ErrorCode)} <= {key for chinese, _ in parts for key in chinese}


@pytest.fixture
def closing(tmp_path: Path) -> Iterator[Service]:
    """Two workers that a test stops and starts, with room for one image at a time each."""
    home = tmp_path / "closing"
    folder = folders.fruit_folder(home / "model", examples=EXAMPLES)
    limits = f"{NO_DRAIN}queue = 1\nmax_images = 1\n"
    running = create(home / "service", table("fruit", folder), limits)
    running.up()
    yield running
    running.down()


def control(service: Service, action: str) -> None:
    """Let the service's supervisord start or stop all workers."""
    socket = f"unix://{service.run_dir / 'supervisord.sock'}"
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-s", socket, action, "fruit-0", "fruit-1"]
    # Not in the run directory, whose supervisord.conf it would read.
    subprocess.run(command, cwd=service.cluster.parent, capture_output=True, check=True)


@contextmanager
def load(service: Service, image: bytes) -> Iterator[None]:
    """Have twice as many clients as workers send `image` again and again while the block runs; it begins with a 429."""
    over, full = threading.Event(), threading.Event()

    def send() -> None:
        while not over.wait(0.02):
            answer = requests.post(f"{service.endpoint}/predict", data=image, timeout=60)
            assert answer.status_code in (200, 429)
            if answer.status_code == 429:
                full.set()

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(send) for _ in range(4)]
        try:
            until("no worker is free", full.is_set)
            yield
        finally:
            over.set()
        for client in clients:
            client.result()


def test_while_no_worker_is_free_or_there_the_images_wait_and_go_on_by_themselves(
    browser: webdriver.Chrome, closing: Service, samples: list[Sample]
) -> None:
    slow = many_scans(8_000, 30)  # little to send, and long to decode
    page = Page(browser, closing.endpoint)
    paths = [sample.path for sample in samples]
    with load(closing, slow):
        page.choose(*paths)
        page.wait(lambda: re.fullmatch(r"The service is busy\. \d images? waits? and .+", page.text("#trouble")))
    page.wait_for("done", "done", "done")
    assert page.best() == [sample.en for sample in samples]
    page.wait(lambda: not page.shown("#banner"))

    page.click("#clear")
    control(closing, "stop")
    try:
        page.choose(*paths)
        waiting = "No worker is available at the moment. 3 images wait and continue by themselves."
        page.wait(lambda: page.text("#trouble") == waiting)
        page.wait(lambda: re.fullmatch(r"Next try in \d+ s", page.text("#countdown")))
        page.switch_to("zh")
        page.wait(lambda: re.fullmatch(r"\d+ 秒后重试", page.text("#countdown")))
        assert page.faults() == []
    finally:
        control(closing, "start")
    page.wait_for("done", "done", "done")
    assert page.best() == [sample.zh for sample in samples]
    page.wait(lambda: not page.shown("#banner"))
