"""The progress lines of a download without a terminal."""

import pytest

from scripts.models.tools.sources.progress import ProgressLines


def test_every_tenth_of_a_large_file_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLines("weights", 20_000_000, initial=10_000_000) as lines:
        for _ in range(20):
            lines.update(500_000)
    assert capsys.readouterr().out.splitlines() == [f"      {tenth}0% of 20.0 MB" for tenth in range(6, 11)]


@pytest.mark.parametrize("total", [9_000_000, None])
def test_nothing_is_printed_for_a_small_file_or_one_of_unknown_size(
    capsys: pytest.CaptureFixture[str], total: int | None
) -> None:
    with ProgressLines("weights", total) as lines:
        lines.update(9_000_000)
    assert capsys.readouterr().out == ""
