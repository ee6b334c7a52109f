"""What can be done with the results: a list of many, the large view, heat maps, filters, and files to keep."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import requests
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from scripts.client.rows import BOM, Csv
from scripts.client.wanwu_client import UnexpectedAnswerError
from scripts.client.wanwu_client.answers import read_answer
from tests.browser.chromium import Page
from tests.browser.conftest import Sample

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


def test_many_images_are_a_list_that_can_be_filtered_sorted_and_counted(
    page: Page, samples: list[Sample], mixed: list[Path]
) -> None:
    page.choose(*mixed)
    page.wait_until_all_are_answered(len(mixed))
    assert page.rows(".file") == [path.name for path in mixed]
    assert page.rows()[9].startswith("Not sure: ")
    assert page.rows()[10] == "The file is empty"
    show, order = (Select(page.one(selector)) for selector in ("#filter", "#order"))
    assert {f"{samples[1].en} (3)", f"All ({len(mixed)})", "Not sure (1)", "Failed (1)"} <= set(
        page.texts("#filter option")
    )
    show.select_by_visible_text(f"{samples[1].en} (3)")
    assert page.rows() == [samples[1].en] * 3
    show.select_by_value("failed")
    assert page.rows(".file") == ["empty.png"]
    show.select_by_value("unsure")
    assert len(page.rows()) == 1
    show.select_by_value("all")
    order.select_by_value("lowest")
    scores = [float(score.rstrip("%")) for score in page.rows(".score") if score]
    assert scores == sorted(scores)
    assert page.rows()[-1] == "The file is empty", "what has no score comes last"
    page.switch_to("zh")
    assert "没有结果（1）" in page.texts("#filter option")
    page.one("#counts-title").click()
    page.wait(lambda: page.all(".chip"))
    assert page.text("#counts-title") == f"按类别统计：{len(page.all('.chip'))} 类"
    chip = next(chip for chip in page.all(".chip") if chip.text == f"{samples[1].zh}（3）")
    chip.click()
    assert page.rows() == [samples[1].zh] * 3
    assert chip.get_attribute("aria-pressed") == "true"
    assert page.faults() == []


def test_a_row_opens_the_large_view_and_arrow_keys_walk_through_it(
    page: Page, samples: list[Sample], mixed: list[Path]
) -> None:
    page.choose(*mixed)
    page.wait_until_all_are_answered(len(mixed))
    assert len(page.all("#rows [tabindex='0']")) == 1, "the list is one stop of the Tab key"
    page.one("#rows [tabindex='0']").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ENTER)
    assert (page.text("#large-name"), page.text("#large-place")) == (mixed[2].name, "3 of 12")
    assert page.texts("#large .found > .bars li:first-child .label") == [samples[0].en]
    assert [page.one(f"#large-{name}").accessible_name for name in ("before", "after", "close")] == [
        "Previous image",
        "Next image",
        "Close",
    ]
    page.one("#large-after").send_keys(Keys.ARROW_RIGHT)
    assert page.text("#large-name") == mixed[3].name
    page.one("#large-after").send_keys(Keys.ESCAPE)
    assert not page.one("#large").is_displayed()
    assert page.driver.switch_to.active_element.text.startswith(mixed[3].name), "the focus is where it was looked at"


def test_only_the_rows_in_view_are_in_the_page(page: Page, samples: list[Sample], tmp_path: Path) -> None:
    """A thousand images, without a request: they wait for the service."""
    for number in range(MANY):
        (tmp_path / f"{number}.jpg").hardlink_to(samples[0].path)
    with page.network(offline=True):
        page.one("#folder").send_keys(str(tmp_path))
        page.wait(lambda: "1,000 images wait" in page.text("#trouble"))
        assert set(page.rows()) <= {"Waiting", "Classifying…"}
        assert len(page.rows()) < IN_VIEW < MANY
        page.driver.execute_script("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait(lambda: page.rows(".file")[-1] == f"{MANY - 1}.jpg")
        assert len(page.rows()) < IN_VIEW
        page.driver.execute_script("scrollTo(0, 0)")
        page.one("#stop").click()
        page.wait(lambda: page.text("#again") == "Retry 1,000")
        assert set(page.rows()) == {"Stopped before an answer came."}


def test_a_heat_map_lies_over_the_part_that_the_model_sees_for_the_class_that_is_chosen(
    page: Page, samples: list[Sample], endpoint: str
) -> None:
    page.choose(samples[0].path)
    page.wait_for("done")
    look = page.one(".card .look")
    assert (look.text, look.accessible_name) == ("Heat map", f"Heat map of {samples[0].path.name}")
    look.click()
    overlay = page.one("#overlay")
    page.wait(overlay.is_displayed)
    assert page.one("#heat-button").get_attribute("aria-pressed") == "true"
    assert page.one("#legend").is_displayed()
    assert overlay.accessible_name == f"Heat map: where the model looks to see “{samples[0].en}”"
    assert page.text("#large-status") == overlay.accessible_name
    image = page.one("#large-image")
    # 480 x 400 pixels, scaled to 36 on the shorter side, of which the network sees the 32 x 32 in the centre.
    shares = [overlay.rect[side] / image.rect[side] for side in ("width", "height")]
    assert shares == pytest.approx([32 / (36 * 480 / 400), 32 / 36], abs=0.01)
    before = page.driver.execute_script("return arguments[0].toDataURL()", overlay)
    Select(page.one("#heat-class")).select_by_visible_text(samples[1].en)
    page.wait(lambda: samples[1].en in overlay.accessible_name)
    assert page.driver.execute_script("return arguments[0].toDataURL()", overlay) != before
    assert page.faults() == []
    index = requests.post(f"{endpoint}/predict", data=samples[1].path.read_bytes(), timeout=60)
    assert page.requests("/predict")[-1]["class"] == [str(index.json()["predictions"][0]["index"])]
    page.one("#heat-button").click()
    assert not overlay.is_displayed()
    page.one("#large-close").click()
    page.switch_to("zh")
    assert page.one(".card .look").accessible_name == f"热力图：{samples[0].path.name}"
    assert page.console() == []


def test_a_heat_map_that_did_not_come_can_be_asked_for_again_and_the_answer_stays(
    page: Page, samples: list[Sample]
) -> None:
    page.choose(samples[0].path)
    page.wait_for("done")
    with page.network(offline=True):
        page.one(".card .look").click()
        page.wait(lambda: page.text("#heat-message").startswith("The service cannot be reached"))
        assert page.texts("#large .found > .bars li:first-child .label") == [samples[0].en]
    page.one("#heat-button").click()
    page.wait(page.one("#overlay").is_displayed)
    assert page.text("#heat-message") == ""


def test_all_classes_of_an_image_are_a_click_away(page: Page, samples: list[Sample]) -> None:
    page.one("#settings-button").click()
    page.one("#top-k").send_keys("1")
    page.choose(samples[0].path)
    page.wait_for("done")
    page.one(".card .frame").click()
    assert len(page.all("#large .bars li")) == 1
    page.one("#all-classes").click()
    page.wait(lambda: len(page.all("#large .bars li")) > 1)
    found = page.texts("#large .bars .label")
    assert {sample.en for sample in samples} <= set(found)
    assert not page.one("#all-classes").is_displayed()


def test_the_exports_are_those_of_the_command_line(
    page: Page, mixed: list[Path], endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("downloads")
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(home)})
    page.choose(*mixed)
    page.wait_until_all_are_answered(len(mixed))
    for form in ("csv", "json"):
        page.one(f"#{form}").click()
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


def test_an_answer_is_copied(page: Page, samples: list[Sample]) -> None:
    page.driver.execute_cdp_cmd(
        "Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    )
    page.choose(samples[0].path)
    page.wait_for("done")
    page.one(".card .frame").click()
    page.one("#copy").click()
    page.wait(lambda: page.text("#large-status") == "Copied.")
    copied = page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    answer = json.loads(copied)
    assert (answer["file"], answer["predictions"][0]["label_en"]) == (samples[0].path.name, samples[0].en)
