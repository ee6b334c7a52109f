"""The lines of one request among those of all logs."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.runtimes.local.logs import files, lines
from scripts.runtimes.request_lines import Line, check_id, find

ACCESS = '{"time": "2026-01-02T10:00:05+08:00", "request_id": "one", "request_time": 2.000, "connection": 7}'
WORKER = '{"time":"2026-01-02T02:00:05.000+00:00","level":"info","request_id":"one","worker":"photos-0"}'
ERROR = "2026/01/02 10:00:{0} [error] 12#12: *{1} upstream timed out"
GATEWAY = [
    ERROR.format("04", 7),
    ERROR.format("04", 77),
    ERROR.format("09", 7),  # of a later request of the same connection
    ACCESS.replace("one", "ones"),
    ACCESS,
]


def test_a_request_is_found_by_its_id_and_nginx_errors_by_its_connection_and_time() -> None:
    logs = {"nginx-log": GATEWAY, "photos-0": [WORKER, "one"], "other": [ERROR.format("04", 7)]}
    given = [Line(log, text) for log, texts in logs.items() for text in texts]
    assert list(find(given, "one")) == [
        Line("nginx-log", ACCESS),
        Line("photos-0", WORKER),
        Line("nginx-log", ERROR.format("04", 7)),
    ]
    assert [list(find(given, word)) for word in ("two", "info", "photos-0", "o.e")] == [[]] * 4


@pytest.mark.parametrize("given", ["", "a b", 'a"', "x" * 65])
def test_what_is_no_request_id_is_refused(given: str) -> None:
    with pytest.raises(CommandError, match=r"^REQUEST: found "):
        check_id(given)


def test_files_put_aside_are_read_first_and_links_are_not_followed(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "a.log.10", "a.log.2", "b.log", "other.txt"):
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "secret").write_text("root's\n")
    (tmp_path / "c.log").symlink_to("secret")
    assert [path.name for path in files(tmp_path)] == ["a.log.10", "a.log.2", "a.log.1", "a.log", "b.log", "c.log"]
    assert list(lines(tmp_path)) == [
        Line("a", "a.log.10"), Line("a", "a.log.2"), Line("a", "a.log.1"), Line("a", "a.log"), Line("b", "b.log"),
    ]  # fmt: skip
    (tmp_path / "logs").symlink_to(tmp_path)
    assert list(lines(tmp_path / "logs")) == []
