"""What the page shows of an answer or a refusal; each of them comes from the real service."""

from pathlib import Path

import requests

from tests import folders
from tests.browser.chromium import Page
from tests.browser.conftest import Sample


def test_what_the_service_refuses_is_explained_in_both_languages_beside_what_it_answers(
    page: Page, samples: list[Sample], endpoint: str, tmp_path: Path
) -> None:
    broken, text = tmp_path / "broken.jpg", tmp_path / "text.jpg"
    whole = samples[0].path.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    text.write_text("this is not an image")
    page.choose(broken, samples[0].path, text)
    page.wait_for("failed", "done", "failed")
    assert page.texts(".card .message") == ["The image is damaged or cut short", "", "Unsupported format"]
    remedies = ["Get a complete copy of the file.", "", "Convert the image to JPEG, PNG, WebP or HEIC."]
    assert page.texts(".card .remedy") == remedies
    assert page.text("#summary") == "3 images, 2 without an answer"
    page.switch_to("zh")
    assert page.texts(".card .message") == ["图片已损坏或不完整", "", "不支持的图片格式"]
    assert page.faults() == []
    assert not page.one("#again").is_displayed(), "sending the same files again would be refused again"
    page.all(".card .frame")[2].click()
    image = ("text.jpg", text.read_bytes(), "image/jpeg")
    refusal = requests.post(f"{endpoint}/predict", files={"image": image}, timeout=60).json()["error"]
    said, _, request_id = page.texts("#large .details dd")
    assert said == refusal["message"]
    assert len(request_id) == len(refusal["request_id"])
    assert page.faults() == []


def test_attributes_stand_below_the_label_in_both_languages(page: Page, samples: list[Sample], tmp_path: Path) -> None:
    black = tmp_path / "black.png"
    folders.image((0, 0, 0)).save(black)
    page.choose(samples[0].path, black)
    page.wait_for("done", "done")
    assert page.best()[0] == "apple"
    assert page.texts(".card .attributes dt") == ["ripeness", "marks"] * 2
    found = page.texts(".card .attributes dd")
    assert [found[0].split()[0], found[1].split()[0], found[3]] == ["ripe", "reddish", "none"]
    assert found[0].endswith("%")
    page.switch_to("zh")
    assert [text.split()[0] for text in page.texts(".card .attributes dd")][::3] == ["熟", "无"]


def test_an_empty_file_is_called_so_in_both_languages(page: Page, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    page.choose(tmp_path / "empty.png")
    page.wait_for("failed")
    assert (page.text(".card .message"), page.text(".card .remedy")) == (
        "The file is empty",
        "Check the original file.",
    )
    page.switch_to("zh")
    assert page.text(".card .message") == "文件为空"


def test_an_answer_that_is_not_sure_says_so_in_both_languages_and_without_emphasis(
    page: Page, samples: list[Sample], doubtful: Path
) -> None:
    page.choose(doubtful, samples[0].path)
    page.wait_for("done", "done")
    assert page.texts(".card .doubt") == ["Not sure. The closest matches:", ""]
    doubt, match = page.one(".unsure .doubt"), page.one(".unsure .bars")
    assert doubt.rect["y"] + doubt.rect["height"] <= match.rect["y"]
    weights, sizes = ([label.value_of_css_property(name) for label in page.all(".found > .bars li:first-child .label")]
                      for name in ("font-weight", "font-size"))  # fmt: skip
    assert weights == ["400", "600"]
    assert float(sizes[0].removesuffix("px")) < float(sizes[1].removesuffix("px"))
    page.switch_to("zh")
    assert page.texts(".card .doubt") == ["不太确定，最接近的是：", ""]


def test_that_an_answer_is_not_sure_is_read_out(page: Page, doubtful: Path) -> None:
    page.choose(doubtful)
    page.wait_for("done")
    page.wait(lambda: page.text("#announcement").startswith(f"{doubtful.name} Not sure: "))


def test_matches_below_one_percent_are_shown_only_where_the_model_is_not_sure(
    page: Page, samples: list[Sample], doubtful: Path, endpoint: str
) -> None:
    scores = []
    for path in (samples[0].path, doubtful):
        answer = requests.post(f"{endpoint}/predict", files={"image": path.read_bytes()}, timeout=60).json()
        scores.append([row["score"] for row in answer["predictions"]])
    assert scores[0][1] < 0.01
    page.choose(samples[0].path, doubtful)
    page.wait_for("done", "done")
    assert [len(card.find_elements("css selector", ".found > .bars li")) for card in page.all(".card")] == [
        1,
        len(scores[1]),
    ]
