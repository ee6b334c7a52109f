"""What the page shows of an answer or a refusal; each of them comes from the real service."""

from pathlib import Path

import requests

from tests import folders
from tests.browser.chromium import Page
from tests.browser.conftest import Sample


def test_what_the_service_refuses_is_shown_in_its_own_words_beside_what_it_answers(
    page: Page, samples: list[Sample], endpoint: str, tmp_path: Path
) -> None:
    broken, text = tmp_path / "broken.jpg", tmp_path / "text.jpg"
    whole = samples[0].path.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    text.write_text("this is not an image")
    answers = [
        requests.post(f"{endpoint}/predict", files={"image": (path.name, path.read_bytes(), "image/jpeg")}, timeout=30)
        for path in (broken, text)
    ]
    assert [answer.status_code for answer in answers] == [422, 415]
    page.choose(broken, samples[0].path, text)
    page.wait_for("failed", "done", "failed")
    messages = [answer.json()["error"]["message"] for answer in answers]
    assert page.texts(".card .reason") == [messages[0], "", messages[1]]
    assert page.texts(".card .message") == ["The image cannot be read", "", "Unsupported format"]
    assert page.text("#summary") == "3 images, 2 without an answer"
    page.switch_to("zh")
    assert page.texts(".card .message") == ["图片无法读取", "", "不支持的图片格式"]
    assert not page.one("#again").is_displayed(), "sending the same files again would be refused again"


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


def test_a_heat_map_takes_the_images_place_and_gives_it_back(page: Page, samples: list[Sample], endpoint: str) -> None:
    page.choose(samples[0].path)
    page.wait_for("done")
    button, image, heat = (page.one(f".card {part}") for part in (".look", ".image", ".heat"))
    assert (button.text, button.get_attribute("aria-pressed"), heat.is_displayed()) == ("Heat map", "false", False)
    button.click()
    page.wait(heat.is_displayed)
    assert (button.get_attribute("aria-pressed"), image.is_displayed()) == ("true", False)
    data = {"image": samples[0].path.read_bytes()}
    wanted = requests.post(f"{endpoint}/predict?heat_map=true", files=data, timeout=30).json()["heat_map"]
    assert heat.get_attribute("src") == wanted
    assert page.driver.execute_script("return arguments[0].naturalWidth", heat) == folders.SIZE
    assert heat.get_attribute("alt") == f"Heat map: where the model looks to see “{samples[0].en}”"
    assert page.text("#announcement") == heat.get_attribute("alt")
    page.switch_to("zh")
    assert (button.text, heat.get_attribute("alt")) == ("热力图", f"热力图：识别为“{samples[0].zh}”时模型关注的区域")
    button.click()
    assert (image.is_displayed(), heat.is_displayed()) == (True, False)
    assert page.console() == []


def test_a_heat_map_that_did_not_come_can_be_asked_for_again_and_the_answer_stays(
    page: Page, samples: list[Sample]
) -> None:
    page.choose(samples[0].path)
    page.wait_for("done")
    with page.network(offline=True):
        page.one(".card .look").click()
        page.wait(lambda: page.text(".card .message").startswith("The service cannot be reached."))
        assert page.best() == [samples[0].en]
    page.one(".card .look").click()
    page.wait(page.one(".card .heat").is_displayed)
    assert page.text(".card .message") == ""


def test_an_empty_file_is_called_so_in_both_languages(page: Page, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    page.choose(tmp_path / "empty.png")
    page.wait_for("failed")
    assert (page.text(".card .message"), page.text(".card .reason")) == ("The file is empty", "")
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
    weights, sizes = ([label.value_of_css_property(name) for label in page.all(".bars li:first-child .label")]
                      for name in ("font-weight", "font-size"))  # fmt: skip
    assert weights == ["400", "600"]
    assert float(sizes[0].removesuffix("px")) < float(sizes[1].removesuffix("px"))
    page.switch_to("zh")
    assert page.texts(".card .doubt") == ["不太确定，最接近的是：", ""]


def test_that_an_answer_is_not_sure_is_read_out(page: Page, doubtful: Path) -> None:
    page.choose(doubtful)
    page.wait_for("done")
    page.wait(lambda: page.text("#announcement").startswith(f"{doubtful.name} Not sure. The closest matches: "))


def test_matches_below_one_percent_are_shown_only_where_the_model_is_not_sure(
    page: Page, samples: list[Sample], doubtful: Path, endpoint: str
) -> None:
    scores = []
    for path in (samples[0].path, doubtful):
        answer = requests.post(f"{endpoint}/predict", files={"image": path.read_bytes()}, timeout=30).json()
        scores.append([row["score"] for row in answer["predictions"]])
    assert scores[0][1] < 0.01
    page.choose(samples[0].path, doubtful)
    page.wait_for("done", "done")
    assert [len(card.find_elements("css selector", ".bars li")) for card in page.all(".card")] == [1, len(scores[1])]
