"""The history of a service: which commands changed it, and the states that it can go back to."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.runtimes.history import (
    UNFINISHED,
    Change,
    History,
    Saved,
    read_changes,
    read_saved,
    recorded,
    render_change,
    render_saved,
)
from scripts.runtimes.run_directory import RunDir
from tests.full_disk import no_room

CHANGE = Change("2026-11-29T08:00:00Z", "up", "安娜", "failed: port 1: in use")
SAVED = Saved("2026-11-29T08:00:00Z", "local", "/c.toml", "port = 1\r\n# 猫\n", {"a": "1"}, {"/m": "0f"})
OTHER = replace(SAVED, files={"a": "2"})


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run directory that a service was started in."""
    run = RunDir(tmp_path / "run")
    run.write({"runtime": "local\n"})
    return run


def kept(run: RunDir) -> tuple[Saved | None, Saved | None]:
    """The present state and the previous one."""
    return History(run).present, History(run).previous


def test_changes_and_states_are_read_as_they_were_written() -> None:
    assert read_changes(render_change(CHANGE) * 2) == [CHANGE, CHANGE]
    assert read_saved(render_saved(SAVED)) == SAVED


def test_lines_and_states_that_cannot_be_read_are_none() -> None:
    assert read_changes("{\n" + render_change(CHANGE) + '{"at": 1}\n[]\nnull\n') == [CHANGE]
    assert [read_saved(text) for text in ("", "{", "[]", '{"at": ""}')] == [None] * 4


def test_each_command_is_recorded_with_how_it_ended(run: RunDir) -> None:
    with recorded(run, "up"):
        pass
    with pytest.raises(CommandError), recorded(run, "use"):
        raise CommandError("no room", "make some")
    with pytest.raises(KeyboardInterrupt), recorded(run, "rollout"):
        raise KeyboardInterrupt
    with recorded(run, "down"), recorded(run, "key-revoke"):
        run.remove()
    assert [(change.command, change.outcome) for change in History(run).changes] == [
        ("up", "ok"), ("use", "failed: no room"), ("rollout", "interrupted"), ("key-revoke", "ok"),
        ("down", "ok"),
    ]  # fmt: skip
    assert all(change.at.endswith("Z") and change.by for change in History(run).changes)


def test_a_command_that_was_killed_leaves_its_line(run: RunDir) -> None:
    changes = History(run)
    with recorded(run, "up"):
        pass
    for _ in range(2):  # as if each had been killed in its body
        changes.add(Change("2026-11-29T08:00:00Z", "rollout", "ann", UNFINISHED))
    with recorded(run, "up"):
        assert [change.outcome for change in changes.changes] == ["ok", UNFINISHED, UNFINISHED, UNFINISHED]
    outcomes = [(change.command, change.outcome) for change in changes.changes]
    assert outcomes == [("up", "ok"), ("rollout", UNFINISHED), ("rollout", UNFINISHED), ("up", "ok")]


def test_where_no_service_was_nothing_is_recorded(tmp_path: Path) -> None:
    with recorded(RunDir(tmp_path / "run"), "down"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_state_before_the_last_change_is_the_previous_one(run: RunDir) -> None:
    assert kept(run) == (None, None)
    History(run).keep(SAVED)
    History(run).keep(replace(SAVED, at="later"))
    assert kept(run) == (replace(SAVED, at="later"), None)
    History(run).keep(OTHER)
    assert kept(run) == (OTHER, replace(SAVED, at="later"))
    History(run).keep(SAVED)  # as a rollback does
    assert kept(run) == (SAVED, OTHER)


def test_new_processes_alone_are_no_state_of_their_own(run: RunDir) -> None:
    History(run).keep(SAVED)
    History(run).keep(OTHER, renewed=True)
    assert kept(run) == (OTHER, None)


def test_what_another_release_started_is_the_previous_state_of_the_first_change(run: RunDir) -> None:
    History(run).keep(OTHER, before=replace(SAVED, text=None))
    assert History(run).previous == replace(SAVED, text=None)


def test_a_history_that_cannot_be_written_is_said_and_stops_nothing(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    run.history.write_text("a file")
    History(run).keep(SAVED)
    with recorded(run, "up"):
        pass
    assert capsys.readouterr().err == f"!! {run.history}: File exists: `make rollback` does not know this state\n"
    run.history.unlink()
    with no_room(), recorded(run, "up"):
        History(run).leave_for("port = 1")
        History(run).keep(SAVED)
        with pytest.raises(CommandError, match=r"cluster\.toml\.replaced: File too large: needed to keep there"):
            History(run).keep_text("port = 1")
    assert capsys.readouterr().err == (
        f"!! {run.history}/present.json: File too large: `make rollback` does not know this state\n"
    )


def test_after_killed_commands_what_runs_goes_by_one_of_the_texts_on_their_way(run: RunDir) -> None:
    changes = History(run)
    assert changes.texts == []
    changes.leave_for("port = 1", running=False)
    changes.leave_for("port = 2")  # as if the first start had been killed
    assert changes.texts == ["port = 1", "port = 2"]
    changes.keep(replace(SAVED, text="port = 2"))
    assert changes.texts == ["port = 2"]
    for text in ("port = 3", "port = 2", "port = 4"):
        changes.leave_for(text)
    assert History(run).texts == ["port = 2", "port = 3", "port = 4"]
    changes.leave_for("port = 5", running=False)
    assert changes.texts == ["port = 5"]
    changes.keep(OTHER)
    assert changes.texts == [OTHER.text]
