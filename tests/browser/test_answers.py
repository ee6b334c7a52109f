"""What the page shows of an answer or a refusal; each of them comes from the real service."""

from pathlib import Path

import requests

from tests import folders
from tests.browser.conftest import Sample
from tests.browser.page import Page


def test_what_the_service_refuses_is_explained_in_both_languages_beside_what_it_answers(
    page: Page, samples: list[Sample], endpoint: str, tmp_path: Path
) -> None:
    broken, text, empty = (tmp_path / name for name in ("broken.jpg", "text.jpg", "empty.png"))
    whole = samples[0].path.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    text.write_text("this is not an image")
    empty.touch()
    page.choose(broken, samples[0].path, text, empty)
    page.wait_for("failed", "done", "failed", "failed")
    said = ["The image is damaged or cut short", "", "Unsupported format", "The file is empty"]
    assert page.texts(".card .message") == said
    assert page.texts(".card .remedy") == [
        "Get a complete copy of the file.",
        "",
        "Convert the image to JPEG, PNG, WebP or HEIC.",
        "Check the original file.",
    ]
    assert page.text("#summary") == "4 images, 3 without an answer"
    page.switch_to("zh")
    assert page.texts(".card .message") == ["图片已损坏或不完整", "", "不支持的图片格式", "文件为空"]
    assert page.faults() == []
    assert not page.shown("#again"), "sending the same files again would be refused again"
    page.click(".card .frame", place=2)
    image = ("text.jpg", text.read_bytes(), "image/jpeg")
    refusal = requests.post(f"{endpoint}/predict", files={"image": image}, timeout=60).json()["error"]
    message, _, request_id = page.texts("#large .details dd")
    assert message == refusal["message"]
    assert len(request_id) == len(refusal["request_id"])
    assert page.faults() == []


def test_attributes_stand_below_the_label_in_both_languages(page: Page, samples: list[Sample], tmp_path: Path) -> None:
    black = tmp_path / "black.png"
    folders.image((0, 0, 0)).save(black)
    page.classify(samples[0].path, black)
    assert page.best()[0] == "apple"
    assert page.texts(".card .attributes dt") == ["ripeness", "marks"] * 2
    found = page.texts(".card .attributes dd")
    assert [found[0].split()[0], found[1].split()[0], found[3]] == ["ripe", "reddish", "none"]
    assert found[0].endswith("%")
    page.switch_to("zh")
    assert [text.split()[0] for text in page.texts(".card .attributes dd")][::3] == ["熟", "无"]


def test_an_answer_that_is_not_sure_says_so_shows_all_matches_and_is_read_out(
    page: Page, samples: list[Sample], doubtful: Path, endpoint: str
) -> None:
    scores = []
    for path in (samples[0].path, doubtful):
        answer = requests.post(f"{endpoint}/predict", files={"image": path.read_bytes()}, timeout=60).json()
        scores.append([row["score"] for row in answer["predictions"]])
    assert scores[0][1] < 0.01
    page.classify(doubtful)
    page.wait(lambda: page.text("#announcement").startswith(f"{doubtful.name} Not sure: "))
    page.choose(samples[0].path)
    page.wait_for("done", "done")
    assert page.texts(".card .doubt") == ["Not sure. The closest matches:", ""]
    counts = "return [...document.querySelectorAll('.card')].map((c) => c.querySelectorAll('.found > .bars li').length)"
    assert page.run(counts) == [len(scores[1]), 1], "below one percent only where the model is not sure"
    doubt, match = page.one(".unsure .doubt"), page.one(".unsure .bars")
    assert doubt.rect["y"] + doubt.rect["height"] <= match.rect["y"]
    weights, sizes = ([label.value_of_css_property(name) for label in page.all(".found > .bars li:first-child .label")]
                      for name in ("font-weight", "font-size"))  # fmt: skip
    assert weights == ["400", "600"]
    assert float(sizes[0].removesuffix("px")) < float(sizes[1].removesuffix("px"))
    page.switch_to("zh")
    assert page.texts(".card .doubt") == ["不太确定，最接近的是：", ""]
