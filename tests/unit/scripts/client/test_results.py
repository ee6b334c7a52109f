"""A results file: created, continued, cut to what is whole, and never overwritten."""

import json
import resource
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.client.results import Results, format_of
from tests.unit.scripts.client.test_rows import ANSWER, ERROR, NAMES

SUFFIXES = ["csv", "json", "jsonl"]


def opened(path: Path, retry: bool = False) -> Results:
    return Results(path, format_of(path, 1), retry)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_is_the_same_whether_it_is_written_at_once_or_continued(suffix: str, tmp_path: Path) -> None:
    once, parts = tmp_path / f"once.{suffix}", tmp_path / f"parts.{suffix}"
    with opened(once) as results:
        for name in NAMES:
            results.add(name, ANSWER)
    for name in NAMES:
        with opened(parts) as results:
            assert name not in results
            results.add(name, ANSWER)
            assert name in results
    assert parts.read_bytes() == once.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_wherever_a_run_was_killed_its_file_is_continued(suffix: str, tmp_path: Path) -> None:
    path, names = tmp_path / f"r.{suffix}", ["a.jpg", "two\nlines.jpg", "c.jpg"]
    with opened(path) as results:
        for name in names:
            results.add(name, ANSWER)
    whole = path.read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte in b"\n}"]
    for length in sorted({0, 1, 3, 4, *range(7, len(whole), 41), *ends, *(end + 1 for end in ends)} - {len(whole)}):
        path.write_bytes(whole[:length])
        with opened(path) as results:
            for name in names:
                if name not in results:
                    results.add(name, ANSWER)
        assert path.read_bytes() == whole, length


def test_a_json_file_is_valid_after_every_row(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with opened(path) as results:
        for count, name in enumerate(NAMES):
            assert len(json.loads(path.read_bytes())) == count
            results.add(name, ANSWER)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_retry_drops_the_failed_rows_and_nothing_else(suffix: str, tmp_path: Path) -> None:
    path, good = tmp_path / f"r.{suffix}", tmp_path / f"good.{suffix}"
    with opened(path) as results, opened(good) as others:
        for name in NAMES:
            results.add(name, ERROR if name.startswith("=") else ANSWER)
            if not name.startswith("="):
                others.add(name, ANSWER)
    path.chmod(0o640)
    with opened(path) as results:
        assert (results.answered, results.failed) == (len(NAMES) - 1, 1)
    with opened(path, retry=True) as results:
        assert (results.answered, results.failed) == (len(NAMES) - 1, 0)
    assert path.read_bytes() == good.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == sorted([path, good])


def test_a_new_file_without_a_row_is_removed(tmp_path: Path) -> None:
    with opened(tmp_path / "r.csv"):
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine.csv").write_bytes(b"")
    with opened(tmp_path / "mine.csv"):
        pass
    assert (tmp_path / "mine.csv").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_another_program_s_file_is_left_alone(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mine.{suffix}"
    for text in ('[{"a": 1}]\n', "name;value\n1;2\n", '{"results": []}\n'):
        path.write_text(text)
        with pytest.raises(CommandError, match=r"mine.* found .* needed .*: set another OUT="):
            opened(path)
        assert path.read_text() == text


def test_a_csv_file_of_another_top_k_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    with opened(path) as results:
        results.add("a.jpg", ANSWER)
    before = path.read_bytes()
    with pytest.raises(CommandError, match=r"found another beginning, needed .*TOP_K="):
        Results(path, format_of(path, 2))
    assert path.read_bytes() == before


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    with opened(tmp_path / "r.csv"), pytest.raises(CommandError, match="found another command that writes it"):
        opened(tmp_path / "r.csv")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_fills_up_leaves_the_rows_before(suffix: str, tmp_path: Path) -> None:
    path, limits = tmp_path / f"r.{suffix}", resource.getrlimit(resource.RLIMIT_FSIZE)
    with opened(path) as results:
        results.add("a.jpg", ANSWER)
        before = path.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
        try:
            with pytest.raises(CommandError, match="after 1 rows, needed room for the next one"):
                results.add("b.jpg", ANSWER)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["no/such/r.csv", "file/r.csv", "folder.csv"])
def test_a_file_that_cannot_be_written_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(CommandError, match=r"found .*, needed a file to write: correct OUT="):
        opened(tmp_path / name)


@pytest.mark.parametrize("name", ["r", "r.txt", "r.xlsx", "r.csv.gz", ".csv"])
def test_an_unknown_suffix_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match=r"needed a name that ends with .csv, .json, .jsonl"):
        format_of(Path(name), 1)
    assert format_of(Path("R.CSV"), 1).head
