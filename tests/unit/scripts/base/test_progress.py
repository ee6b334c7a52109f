"""The line that shows how far a command is."""

import re

import pytest

from scripts.base.progress import Progress


def test_progress_is_a_line_for_each_tenth_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(25)
    for _ in range(25):
        progress.advance()
    progress.clear()
    output = capsys.readouterr()
    assert [line.split(" images, ")[0] for line in output.out.splitlines()] == [
        f"   {done}/25" for done in (3, 5, 8, 10, 13, 15, 18, 20, 23, 25)
    ]
    assert re.fullmatch(r"   25/25 images, [0-9.]+ images/s, 0:00 left", output.out.splitlines()[-1])
    assert output.err == ""


def test_progress_is_one_line_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = Progress(2)
    progress.advance()
    progress.advance()
    progress.clear()
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("\r\033[K   1/2 images, ")
    assert "\n" not in output.err
    assert output.err.endswith("\r\033[K")
