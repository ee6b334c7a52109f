"""The Teach view, the whole way with real workers: images in, progress, report, into service, an answer, and back."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from selenium import webdriver

from scripts.cluster.config import ROOT
from scripts.models import model_store
from scripts.models.verified import is_verified
from scripts.teach_page.errors import Code
from tests.browser.page import Page
from tests.service import NO_DRAIN, PHOTOS, Service, bare_environment, create

CLASSES = {"红_red": (190, 60, 60), "绿_green": (60, 190, 60)}
EACH = 4
LESSON_S = 600  # for what teaches or changes a service, on a machine that does much else
OFF = "Teaching on the page is off."


def draw(path: Path, seed: int, colour: tuple[int, int, int]) -> Path:
    noise = np.random.default_rng(seed).normal(0, 25, (5, 6, 3)) + np.array(colour)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).resize((96, 80), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("images") / "parts"
    for place, (name, colour) in enumerate(CLASSES.items()):
        for number in range(EACH):
            draw(home / name / f"{number}.png", 100 * place + number, colour)
    (home / "红_red/notes.txt").write_text("no image")
    return home


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    (models / ".upload-left").mkdir()  # by a service that was killed
    return models


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = create(tmp_path_factory.mktemp("served"), PHOTOS, NO_DRAIN)
    running.up()
    yield running
    running.down()


@pytest.fixture(scope="module")
def address(served: Service, models: Path) -> Iterator[str]:
    """The address that `make teach-page` prints."""
    place = ["--cluster", served.cluster, "--run-dir", served.run_dir, "--runtime", "local", "--models", models]
    command = [sys.executable, "-m", "scripts", "teach-page", *map(str, place)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=bare_environment()) as running:
        try:
            printed = next(line for line in running.stdout or () if "#teach/" in line)
            yield printed.strip()
        finally:
            running.send_signal(signal.SIGINT)
            running.communicate()
    assert running.returncode == 0
    assert not (served.run_dir / "teach").exists()
    assert list(models.glob(".upload*")) == []


def trouble(page: Page) -> str:
    return " ".join(page.texts("#view-teach .trouble"))


def answer(service: Service, image: Path) -> dict[str, object]:
    asked = requests.post(f"{service.endpoint}/predict", data=image.read_bytes(), timeout=60).json()
    return {"model": asked["model"], "label": asked["predictions"][0]["label_en"]}


def open_page(browser: webdriver.Chrome, served: Service, address: str) -> Page:
    page = Page(browser, served.endpoint)
    browser.get("about:blank")
    browser.get(address)
    page.wait(lambda: page.texts("#teach-answers") == ["photos"])
    return page


def test_a_view_without_its_service_says_what_to_run(page: Page) -> None:
    page.click("#views [href='#teach']")
    page.wait(lambda: trouble(page).startswith(OFF))
    assert page.texts("#view-teach .trouble code") == ["make teach-page"]
    page.switch_to("zh")
    page.wait(lambda: trouble(page).startswith("页面训练未开启"))
    assert page.all("#view-teach form") == []


# What passes may pass unseen on a busy machine: the page itself notes it, or acts on it.
NOTE_PROGRESS = """
window.stages = [];
new MutationObserver(() => {
  const heading = document.querySelector("#view-teach .teach-part:has(#teach-stop):has(progress) h3")?.textContent;
  if (heading && !stages.includes(heading)) stages.push(heading);
}).observe(document.getElementById("view-teach"), { childList: true, subtree: true });
"""
STOP_AT_ONCE = """
new MutationObserver((_, observer) => {
  const stop = document.getElementById("teach-stop");
  if (!stop) return;
  observer.disconnect();
  stop.click();
}).observe(document.getElementById("view-teach"), { childList: true, subtree: true });
"""


def test_the_whole_way_from_a_folder_to_an_answer_and_back(
    browser: webdriver.Chrome, served: Service, models: Path, images: Path, address: str
) -> None:
    page = open_page(browser, served, address)
    assert not browser.current_url.endswith(address.rpartition("/")[2]), "the key does not stay in the address bar"
    assert page.value("#teach-start", "disabled")
    page.drop(images)
    page.wait(lambda: page.texts("#teach-classes .name") == [*CLASSES])
    assert page.texts("#teach-classes .quiet") == [f"{EACH} images"] * len(CLASSES)
    page.type("#teach-class", "黄_yellow\n")
    page.wait(lambda: page.texts("#teach-classes .name") == [*CLASSES, "黄_yellow"])
    assert page.value("#teach-start", "disabled")
    more = [draw(images.parent / f"more/{number}.png", 900 + number, (190, 190, 60)) for number in range(2)]
    page.type("#teach-classes input", "\n".join(map(str, more)), place=len(CLASSES))
    page.wait(lambda: page.texts("#teach-classes .quiet")[len(CLASSES)] == "2 images")
    assert page.faults() == []
    page.type("#teach-name", "No Such Name")
    page.click("#teach-start")
    page.wait(lambda: trouble(page).startswith("A model's name has up to 63 lower-case letters"))
    page.clear("#teach-name")
    page.type("#teach-name", "colours")
    page.run(NOTE_PROGRESS)
    page.click("#teach-start")
    page.wait(lambda: page.texts("#teach-done") == ["colours is taught"], LESSON_S)
    assert page.run("return stages") == ["Teaching colours"]
    assert page.faults() == []
    assert (models / "colours/report.html").is_file()
    assert list(models.glob(".upload*")) == []
    count = len(CLASSES) * EACH + 2
    assert f"of {count} images, each by a model that had not seen it" in page.text("#view-teach .figures")
    report = requests.get(page.value("#teach-report", "href"), timeout=60)
    assert "红 red" in report.text
    assert "sandbox" in report.headers["Content-Security-Policy"]
    assert report.headers["Content-Security-Policy"].count("default-src") == 1

    page.click("#teach-use")
    page.wait(lambda: page.texts("#teach-answers") == ["colours"], LESSON_S)
    assert answer(served, images / "绿_green/0.png") == {"model": "colours", "label": "green"}
    page.switch_to("zh")
    page.wait(lambda: page.texts("#teach-back") == ["换回 photos，撤下 colours"])
    page.click("#teach-back")
    page.wait(lambda: page.texts("#teach-answers") == ["photos"], LESSON_S)
    assert answer(served, images / "绿_green/0.png")["model"] == "photos"
    assert is_verified(models, model_store.EMBEDDED)

    page.switch_to("en")
    added = images.parent / "added"
    for number in range(EACH):
        draw(added / "黑_black" / f"{number}.png", 700 + number, (25, 25, 25))
    page.pick("#teach-from", "add:colours")
    page.wait(lambda: page.value("#teach-name", "value") == "colours")
    assert page.value("#teach-replace", "checked")
    assert page.value("#teach-start", "disabled")
    page.drop(added)
    page.wait(lambda: not page.value("#teach-start", "disabled"))
    page.click("#teach-start")
    page.wait(lambda: page.texts("#view-teach .figures dd")[1:2] == [str(len(CLASSES) + 2)], LESSON_S)


def test_what_cannot_be_taught_is_said_and_stopping_changes_nothing(
    browser: webdriver.Chrome, served: Service, models: Path, images: Path, address: str, tmp_path: Path
) -> None:
    before = {path.name for path in models.iterdir()}
    page = open_page(browser, served, address)
    for name, colour in CLASSES.items():
        for number in range(2):
            draw(tmp_path / "twins" / name / f"{number}.png", 1, colour)  # twice the same image
    page.type("#teach-folder", str(tmp_path / "twins"))
    page.wait(lambda: len(page.texts("#teach-classes .name")) == len(CLASSES))
    page.type("#teach-name", "twins")
    page.click("#teach-start")
    page.wait(lambda: page.all("#teach-faults"), LESSON_S)
    assert "found too few different images that can be read in" in page.text("#teach-faults")
    assert "Nothing was changed" in page.text("#view-teach h3")
    assert list(models.glob(".upload*")) == []
    assert not (models / "twins").exists()

    page.type("#teach-folder", str(images))
    page.wait(lambda: page.texts("#teach-classes .quiet") == [f"{EACH + 2} images"] * len(CLASSES))
    page.clear("#teach-name")
    page.type("#teach-name", "halted")
    page.run(STOP_AT_ONCE)
    page.click("#teach-start")
    page.wait(lambda: "Stopped. Nothing was changed." in page.texts("#view-teach p"), LESSON_S)
    assert {path.name for path in models.iterdir()} - before <= {".features", ".verified.json"}


SORTED = """
const [cases, done] = arguments;
import("/teach/lesson.js").then(({ inClasses }) => done(cases.map((paths) => {
  const { files, ignored } = inClasses(paths.map((path) => ({ path })));
  return [files.map(({ part, name }) => `${part}:${name}`).join(" "), ignored];
})));
"""


FOLDERS = [
    (["parts/red/1.png", "parts/green/deep/2.png", "parts/3.png"], ":red :green", 1),
    (["red/1.png", "green/2.png", "green/deep/3.png"], ":red :green :green", 0),
    (["red/1.png", "red/2.png"], ":red :red", 0),
    (["ants/train/red/1.png", "ants/val/red/2.png"], "train:red val:red", 0),
    (["train/red/1.png", "test/red/2.png"], "train:red test:red", 0),
    (["kinds/train/1.png", "kinds/bus/2.png"], ":train :bus", 0),
    (["1.png"], "", 1),
]


def test_folders_are_taken_for_the_classes_that_they_are(page: Page) -> None:
    found = page.driver.execute_async_script(SORTED, [paths for paths, *_ in FOLDERS])
    assert found == [[sorted_out, ignored] for _, sorted_out, ignored in FOLDERS]


def test_only_the_pages_own_requests_from_this_machine_are_answered(served: Service, address: str) -> None:
    key = address.rpartition("/")[2]
    state = f"{served.endpoint}/teaching/state"

    def code(method: str = "GET", path: str = "state", **headers: str) -> str:
        sent = {"X-Teach-Key": key, **{name.replace("_", "-"): value for name, value in headers.items()}}
        asked = requests.request(method, f"{served.endpoint}/teaching/{path}", headers=sent, timeout=60)
        return "" if asked.ok else str(asked.json()["error"]["code"])

    assert code() == ""
    assert code(Host=f"localhost:{served.port}") == ""
    assert code(Host="attacker.example") == "foreign_host"  # by Nginx, before it gets here
    assert code(Origin="http://attacker.example") == Code.OTHER_ORIGIN
    assert code("POST", "teach", Sec_Fetch_Site="same-site") == Code.OTHER_ORIGIN
    assert code("POST", "upload", X_Teach_Key="guess") == Code.WRONG_KEY
    assert code(path="report/guess/photos", X_Teach_Key="guess") == Code.WRONG_KEY
    assert code("POST", "teach") == Code.NO_UPLOAD
    outside = _own_address()
    asked = requests.get(state.replace("127.0.0.1", outside), headers={"X-Teach-Key": key}, timeout=60)
    assert (asked.status_code, asked.json()["error"]["code"]) == (403, "forbidden")


def _own_address() -> str:
    """Return an address of this machine that is not the loopback's."""
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
    return next(each for each in listed if "." in each)
