"""What can be done with the results: a list of many, the large view, heat maps, filters, and files to keep."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import requests
from selenium.webdriver.common.keys import Keys

from scripts.client.rows import BOM, Csv
from scripts.client.wanwu_client import UnexpectedAnswerError
from scripts.client.wanwu_client.answers import read_answer
from tests.browser.conftest import Sample
from tests.browser.page import Page

IN_VIEW = 60  # rows: more than a screen shows with the few around it, fewer than MANY
MANY = 1000


@pytest.fixture
def mixed(samples: list[Sample], doubtful: Path, tmp_path: Path) -> list[Path]:
    """Twelve images: three of every fruit, one doubtful, one empty, one with a name that is a formula."""
    names = [f"{number}-{sample.en}.jpg" for sample in samples for number in range(3)]
    for name in (*names, "=1+1, \"猫\".jpg"):  # fmt: skip
        sample = next((sample for sample in samples if sample.en in name), samples[0])
        shutil.copy(sample.path, tmp_path / name)
    (tmp_path / "empty.png").touch()
    return [*(tmp_path / name for name in names), doubtful, tmp_path / "empty.png", tmp_path / '=1+1, "猫".jpg']


def test_many_images_are_a_list_that_is_filtered_sorted_counted_and_walked_through(
    page: Page, samples: list[Sample], mixed: list[Path]
) -> None:
    page.choose(*mixed)
    page.wait_until_all_are_answered(len(mixed))
    assert page.rows(".file") == [path.name for path in mixed]
    assert page.rows()[9].startswith("Not sure: ")
    assert page.rows()[10] == "The file is empty"
    assert {f"{samples[1].en} (3)", f"All ({len(mixed)})", "Not sure (1)", "Failed (1)"} <= set(
        page.texts("#filter option")
    )
    page.pick("#filter", f"{samples[1].en} (3)")
    assert page.rows() == [samples[1].en] * 3
    page.pick("#filter", "failed")
    assert page.rows(".file") == ["empty.png"]
    page.pick("#filter", "unsure")
    assert len(page.rows()) == 1
    page.pick("#filter", "all")
    page.pick("#order", "lowest")
    scores = [float(score.rstrip("%")) for score in page.rows(".score") if score]
    assert scores == sorted(scores)
    assert page.rows()[-1] == "The file is empty", "what has no score comes last"
    page.switch_to("zh")
    assert "没有结果（1）" in page.texts("#filter option")
    page.click("#counts-title")
    page.wait(lambda: page.all(".chip"))
    chips = page.texts(".chip")
    assert page.text("#counts-title") == f"按类别统计：{len(chips)} 类"
    page.click(".chip", chips.index(f"{samples[1].zh}（3）"))
    assert page.rows() == [samples[1].zh] * 3
    assert page.texts(".chip[aria-pressed=true]") == [f"{samples[1].zh}（3）"]
    assert page.faults() == []

    page.switch_to("en")
    page.pick("#filter", "all")
    page.pick("#order", "added")
    assert len(page.all("#rows [tabindex='0']")) == 1, "the list is one stop of the Tab key"
    page.type("#rows [tabindex='0']", Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    assert (page.text("#large-name"), page.text("#large-place")) == (mixed[2].name, "3 of 12")
    assert page.texts("#large .found > .bars li:first-child .label") == [samples[0].en]
    assert page.names("#large-before, #large-after, #large-close") == ["Previous image", "Next image", "Close"]
    page.type("#large-after", Keys.ARROW_RIGHT)
    assert page.text("#large-name") == mixed[3].name
    page.type("#large-after", Keys.ESCAPE)
    assert not page.shown("#large")
    page.wait(lambda: mixed[3].name in page.run("return document.activeElement.textContent"))


def test_only_the_rows_in_view_are_in_the_page(page: Page, samples: list[Sample], tmp_path: Path) -> None:
    """A thousand images, without a request: they wait for the service."""
    for number in range(MANY):
        (tmp_path / f"{number}.jpg").hardlink_to(samples[0].path)
    with page.network(offline=True):
        page.type("#folder", str(tmp_path))
        page.wait(lambda: "1,000 images wait" in page.text("#trouble"))
        assert set(page.rows()) <= {"Waiting", "Classifying…"}
        assert len(page.rows()) < IN_VIEW < MANY
        page.run("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait(lambda: page.rows(".file")[-1] == f"{MANY - 1}.jpg")
        assert len(page.rows()) < IN_VIEW
        page.run("scrollTo(0, 0)")
        page.click("#stop")
        page.wait(lambda: page.text("#again") == "Retry 1,000")
        assert set(page.rows()) == {"Stopped before an answer came."}


SIZES = """
return ["#overlay", "#large-image"].map((selector) => document.querySelector(selector).getBoundingClientRect())
  .map(({ width, height }) => [width, height]);
"""


def test_a_heat_map_lies_over_the_part_that_the_model_sees_and_can_be_asked_for_again(
    page: Page, samples: list[Sample], endpoint: str
) -> None:
    page.classify(samples[0].path)
    assert page.text(".card .look") == "Heat map"
    assert page.names(".card .look") == [f"Heat map of {samples[0].path.name}"]
    with page.network(offline=True):
        page.click(".card .look")
        page.wait(lambda: page.text("#heat-message").startswith("The service cannot be reached"))
        assert page.texts("#large .found > .bars li:first-child .label") == [samples[0].en], "the answer stays"
    page.console()
    page.click("#heat-button")
    page.wait(lambda: page.shown("#overlay"))
    assert page.text("#heat-message") == ""
    assert page.value("#heat-button", "ariaPressed") == "true"
    assert page.shown("#legend")
    assert page.names("#overlay") == [f"Heat map: where the model looks to see “{samples[0].en}”"]
    assert page.text("#large-status") == page.names("#overlay")[0]
    # 480 x 400 pixels, scaled to 36 on the shorter side, of which the network sees the 32 x 32 in the centre.
    overlay, image = page.run(SIZES)
    shares = [part / whole for part, whole in zip(overlay, image, strict=True)]
    assert shares == pytest.approx([32 / (36 * 480 / 400), 32 / 36], abs=0.01)
    before = page.run("return document.querySelector('#overlay').toDataURL()")
    page.pick("#heat-class", samples[1].en)
    page.wait(lambda: samples[1].en in page.names("#overlay")[0])
    assert page.run("return document.querySelector('#overlay').toDataURL()") != before
    assert page.faults() == []
    index = requests.post(f"{endpoint}/predict", data=samples[1].path.read_bytes(), timeout=60)
    assert page.requests("/predict")[-1]["class"] == [str(index.json()["predictions"][0]["index"])]
    page.click("#heat-button")
    assert not page.shown("#overlay")
    page.click("#large-close")
    page.switch_to("zh")
    assert page.names(".card .look") == [f"热力图：{samples[0].path.name}"]
    assert page.console() == []


def test_all_classes_of_an_image_are_a_click_away_and_its_answer_is_copied(page: Page, samples: list[Sample]) -> None:
    page.allow_the_clipboard()
    page.click("#settings-button")
    page.type("#top-k", "1")
    page.classify(samples[0].path)
    page.click(".card .frame")
    assert len(page.all("#large .bars li")) == 1
    page.click("#copy")
    page.wait(lambda: page.text("#large-status") == "Copied.")
    answer = json.loads(page.copied())
    assert (answer["file"], answer["predictions"][0]["label_en"]) == (samples[0].path.name, samples[0].en)
    page.click("#all-classes")
    page.wait(lambda: len(page.all("#large .bars li")) > 1)
    assert {sample.en for sample in samples} <= set(page.texts("#large .bars .label"))
    assert not page.shown("#all-classes")


def test_the_exports_are_those_of_the_command_line(
    page: Page, mixed: list[Path], endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("downloads")
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(home)})
    page.choose(*mixed)
    page.wait_until_all_are_answered(len(mixed))
    for form in ("csv", "json"):
        page.click(f"#{form}")
        page.wait((home / f"wanwu.{form}").is_file)
    answers = json.loads((home / "wanwu.json").read_text(encoding="utf-8"))
    assert [answer["file"] for answer in answers] == [path.name for path in mixed]
    data = (home / "wanwu.csv").read_bytes()
    assert data.startswith(BOM)
    head, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    most = max(len(answer.get("predictions", [])) for answer in answers)
    command = Csv(most)
    assert head == command.columns
    for answer, row in zip(answers, rows, strict=True):
        if "error" in answer:
            assert row[-2:] == [answer["error"]["code"], answer["error"]["message"]]
            continue
        # The page writes labels in its own language, the command those that the service calls `label`.
        english = answer | {
            "predictions": [one | {"label": one["label_en"]} for one in answer["predictions"]],
            "attributes": {name: in_english(found) for name, found in answer["attributes"].items()},
        }
        line = command.row(answer["file"], read_answer(english)).decode()
        assert [*map(number, row)] == [*map(number, next(csv.reader(io.StringIO(line, newline=""))))]
    assert rows[-1][0] == '\'=1+1, "猫".jpg', "a spreadsheet program would run it as a formula"
    with pytest.raises(UnexpectedAnswerError):
        read_answer(answers[10])


def number(cell: str) -> float | str:
    """Return a cell as the number that it holds, which JavaScript writes as 1 and Python as 1.0; else as it is."""
    try:
        return float(cell)
    except ValueError:
        return cell


def in_english(found: object) -> object:
    if isinstance(found, list):
        return [in_english(one) for one in found]
    assert isinstance(found, dict)
    return found | {"label": found["label_en"]}
