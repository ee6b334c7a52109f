"""The comparison of models on the same images, and its statistics."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.models.tools.evaluate.comparison import Answered, compare, read, write
from scripts.models.tools.evaluate.comparison_report import to_json, to_page, to_text
from scripts.models.tools.evaluate.statistics import Paired, difference_interval, interval, mcnemar
from tests.html_page import Page

HOSTILE = "<b>\udcc3 & co"


def answered(model: str, labels: list[str], **images: tuple[int, int]) -> Answered:
    found = {name: (f"/images/{name}", truth, best, 0.9) for name, (truth, best) in images.items()}
    return Answered(model, "1", "openvino int8", {"en": labels}, found)


def test_the_interval_is_wilsons() -> None:
    assert interval(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    low, high = interval(1, 10)
    assert 0.7 < low < high == pytest.approx(1)


def test_mcnemars_test_is_exact() -> None:
    assert mcnemar(Paired(50, 6, 1, 3)) == 16 / 128
    assert mcnemar(Paired(50, 1, 6, 3)) == 16 / 128
    assert mcnemar(Paired(50, 4, 4, 3)) == mcnemar(Paired(50, 0, 0, 3)) == 1
    assert mcnemar(Paired(0, 900, 700, 0)) == pytest.approx(6.4e-7, rel=0.05)  # 2 (1 - Phi(4.975)), with continuity


def test_the_paired_interval_holds_the_difference_and_turns_with_it() -> None:
    for pairs in (Paired(50, 6, 1, 3), Paired(10, 0, 0, 0), Paired(0, 10, 0, 0), Paired(5, 5, 5, 5)):
        low, high = difference_interval(pairs)
        assert -1 <= low <= pairs.difference <= high <= 1
        turned = difference_interval(Paired(pairs.both, pairs.only_second, pairs.only_first, pairs.neither))
        assert turned == pytest.approx((-high, -low))


def test_models_that_often_agree_are_told_apart_by_fewer_images() -> None:
    low, _ = difference_interval(Paired(80, 10, 0, 10))
    assert low > 0
    low, _ = difference_interval(Paired(50, 30, 20, 0))  # the same difference
    assert low < 0


def test_only_images_that_all_answered_count_and_classes_are_matched_by_label() -> None:
    first = answered("a", ["cat", "dog"], one=(0, 0), two=(1, 0), three=(1, 1), four=(0, 1))
    second = answered("b", ["dog", "cow", "cat"], one=(2, 2), two=(0, 2), three=(0, 1), five=(1, 1))
    comparison = compare([first, second], "/images")
    assert comparison.names == ["one", "two", "three"]
    assert [comparison.left_out(each) for each in comparison.models] == [1, 1]
    (pair,) = comparison.pairs
    assert (pair.paired, pair.same) == (Paired(1, 1, 0, 1), 2)
    assert comparison.differing() == ["three"]
    assert "a and b: these images do not tell which one is better" in to_text(comparison)
    assert "   three: dog; a right 0.900, b cow 0.900" in to_text(comparison)


def test_three_models_are_compared_pair_by_pair() -> None:
    models = [answered(name, ["cat"], one=(0, 0)) for name in "abc"]
    assert [(each.first, each.second) for each in compare(models, "").pairs] == [(0, 1), (0, 2), (1, 2)]


def test_nothing_in_common_is_refused() -> None:
    models = [answered("a", ["cat"], one=(0, 0)), answered("b", ["cat"], two=(0, 0))]
    with pytest.raises(CommandError, match="/here: found no image that all of a, b answer, needed images of classes"):
        compare(models, "/here")


def test_answers_survive_their_file_and_names_their_report(tmp_path: Path) -> None:
    models = [answered("a", ["<i>"], **{HOSTILE: (0, 0)}), answered("b", ["<i>", "x"], **{HOSTILE: (0, 1)})]
    write(tmp_path / "answers", models[1])
    assert read(tmp_path / "answers") == models[1]
    comparison = compare(models, "/images")
    page = Page(to_page(comparison, [""]))
    assert any("<b>\\udcc3 & co: <i>" in each for each in page.texts)
    assert "b" not in {tag for tag, _ in page.elements}
    assert HOSTILE in to_json(comparison)
