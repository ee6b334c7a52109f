"""Rows of results: what a spreadsheet program, a parser and the next run read from them."""

import csv
import io
import json

import pytest

from scripts.client.rows import Csv, Format, JsonLines, JsonList, NotOurs, row_name
from scripts.client.wanwu_client import UnreadableError
from scripts.client.wanwu_client.answers import read_answer

CLASSES = [
    {"label": "狗 dog", "label_en": "dog", "label_zh": "狗", "index": 1, "score": 0.75},
    {"label": "=cmd()", "label_en": None, "label_zh": None, "index": 0, "score": -1.5},
]
BODY = {
    "model": "photos", "version": "1", "worker": "photos-0", "request_id": "r", "confident": True,
    "predictions": CLASSES, "timing_ms": {"total": 2.5},
    "attributes": {"ripeness": CLASSES[0], "marks": CLASSES},
}  # fmt: skip
ANSWER = read_answer(BODY)
ERROR = UnreadableError('found "nothing", needed one')
NAMES = [
    "a.jpg", "a,b;c.jpg", 'quo"te.jpg', "two\nlines.jpg", "two\r\nlines.jpg", "=1+1.jpg", "+1.jpg", "-1.jpg", "@x.jpg",
    "\t=1.jpg", " =1.jpg", "'=1.jpg", "＝1.jpg", "back\\slash.jpg", "\udcff.jpg", "\\xff.jpg", "中文 图.jpg",
    "[\n]", "{", '"', ",", "]",
]  # fmt: skip
FORMATS = [Csv(1), Csv(3), JsonList(), JsonLines()]


def written(form: Format, names: list[str], error: str = "") -> bytes:
    """Return a whole file with a row for each name; `error` is the name of the image that failed."""
    rows = [form.separator(not place) + form.row(name, ERROR if name == error else ANSWER)
            for place, name in enumerate(names)]  # fmt: skip
    return form.head + b"".join(rows) + form.tail


def read(form: Format, data: bytes) -> list[tuple[str, bool]]:
    file = io.BytesIO(data)
    assert file.read(len(form.head)) == form.head
    return [(row.name, row.failed) for row in form.read(file)]


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: type(form).__name__)
def test_every_name_is_read_as_it_was_written_and_no_two_are_alike(form: Format) -> None:
    found = read(form, written(form, NAMES, error="=1+1.jpg"))
    assert found == [(row_name(name), name == "=1+1.jpg") for name in NAMES]
    assert len({name for name, _ in found}) == len(NAMES)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: type(form).__name__)
def test_wherever_a_file_is_cut_off_its_whole_rows_are_read(form: Format) -> None:
    whole = written(form, NAMES[:5])
    ends = [row.end for row in form.read(_after_head(form, whole))]
    for length in range(len(form.head), len(whole), 3):
        rows = list(form.read(_after_head(form, whole[:length])))
        assert [row.end for row in rows] == ends[: len(rows)]
        # A row counts once its line has ended; at most the last one that is there is read anew.
        assert len(rows) >= sum(end <= length for end in ends) - 1
    assert len(list(form.read(_after_head(form, whole)))) == 5


def _after_head(form: Format, data: bytes) -> io.BytesIO:
    file = io.BytesIO(data)
    file.seek(len(form.head))
    return file


def test_a_csv_file_has_a_bom_chinese_and_a_column_for_each_class() -> None:
    data = written(Csv(3), ["a.jpg", "b.jpg"], error="b.jpg")
    assert data.startswith(b"\xef\xbb\xbf")
    first, second = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
    assert (first["label"], first["score"], first["index"]) == ("狗 dog", "0.75", "1")
    assert (first["label_2"], first["score_2"], first["label_3"], first["error"]) == ("'=cmd()", "-1.5", "", "")
    assert (first["confident"], first["model"], first["ms"]) == ("true", "photos", "2.5")
    assert first["attributes"] == "ripeness: 狗 dog 0.75; marks: 狗 dog 0.75, =cmd() -1.5"
    assert (second["label"], second["error"], second["message"]) == ("", "unreadable", ERROR.args[0])


def test_no_text_of_a_csv_file_is_run_as_a_formula() -> None:
    for name in NAMES:
        (row,) = csv.reader(io.StringIO(Csv(2).row(name, ANSWER).decode(), newline=""))
        texts = [cell for cell in row if not _is_number(cell)]
        assert [text for text in texts if text.strip().startswith(("=", "+", "-", "@", "＝"))] == []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_json_has_the_service_s_own_answer() -> None:
    assert json.loads(written(JsonList(), [])) == []
    first, second = json.loads(written(JsonList(), ["a.jpg", "\udcff.jpg"], error="\udcff.jpg"))
    assert first == {"file": "a.jpg", **BODY}
    assert second == {"file": "\\xff.jpg", "error": {"code": "unreadable", "message": ERROR.args[0]}}


@pytest.mark.parametrize(
    ("form", "data"),
    [
        (JsonLines(), b'{"name": 1}\n'),
        (JsonLines(), b"text\n"),
        (JsonLines(), b"[]\n"),
        (JsonList(), b'[{"file": "a"}]\n'),
        (JsonList(), b"[\n{}\n]\n"),
        (Csv(1), Csv(1).head + b'"a","b"\r\n'),
        (Csv(1), Csv(1).head + b'a\rb\n"'),
    ],
)
def test_another_file_is_not_continued(form: Format, data: bytes) -> None:
    with pytest.raises(NotOurs, match=r"found .* needed "):
        list(form.read(_after_head(form, data)))
