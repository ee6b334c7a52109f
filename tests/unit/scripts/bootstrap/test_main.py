"""Changes are made or shown; after a failure or a signal those of this run are undone, and no others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap import __main__ as main
from scripts.bootstrap.executor import Change, Executor, Step
from scripts.bootstrap.files import UNDO, write
from scripts.bootstrap.machine import Interrupted
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Server

NO_SERVER = cast(Server, None)  # these steps ask nothing of it


def a_step(*makes: Callable[[], None]) -> Step:
    def changes(_: Server) -> Iterator[Change]:
        for number, make in enumerate(makes, 1):
            yield Change(f"change {number}", make)

    return Step(changes)


def fail() -> None:
    raise CommandError("found X, needed Y: do Z")


def interrupt() -> None:
    raise Interrupted(15)


def crash() -> None:
    raise OSError(28, "No space left on device")


def test_a_dry_run_shows_what_a_real_one_makes(
    record: Record, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, made = tmp_path / "shown", tmp_path / "made"
    executors = [Executor(record, dry_run=True), Executor(record, dry_run=False)]
    for executor, path in zip(executors, (shown, made), strict=True):
        executor.carry_out(a_step(path.touch, lambda: None), NO_SERVER)
    assert capsys.readouterr().out == "-> change 1\n-> change 2\n" * 2
    assert ([executor.count for executor in executors], shown.exists(), made.exists()) == ([2, 2], False, True)


@pytest.mark.parametrize(
    ("end", "error", "told"),
    [
        (fail, CommandError, "found X, needed Y: do Z"),
        (
            crash,
            CommandError,
            "change 2 failed ([Errno 28] No space left on device): correct the cause and run this again",
        ),
        (interrupt, Interrupted, "change 2 failed (a signal asked to stop): correct the cause and run this again"),
    ],
)
def test_what_a_failed_run_has_changed_is_undone(
    record: Record,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    end: Callable[[], None],
    error: type[BaseException],
    told: str,
) -> None:
    earlier, now = tmp_path / "earlier", tmp_path / "now"
    write(record, earlier, "of an earlier run")
    steps = (a_step(lambda: write(record, now, "of this run"), end),)
    monkeypatch.setattr(main, "STEPS", steps)
    monkeypatch.setattr(main, "UNDO", UNDO)
    with pytest.raises(error):
        main._make_changes(Executor(record, dry_run=False), NO_SERVER)
    printed = capsys.readouterr()
    assert printed.err == f"!! {told}\n"
    assert printed.out.splitlines()[-2:] == ["-- undoing the changes of this run", f"<- file {now}"]
    assert (earlier.exists(), now.exists(), record.of("file")) == (True, False, [str(earlier)])
