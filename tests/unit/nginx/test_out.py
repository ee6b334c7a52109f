"""The files that the gate writes."""

import json
from pathlib import Path

from nginx.gate.out import render_json, write_atomically


def test_json_has_each_entry_of_a_list_on_a_line() -> None:
    document = {"as_of": "now", "workers": [{"name": "a", "in": True, "sizes": [1, 2]}, {"name": "狗"}], "models": []}
    text = render_json(document)
    assert text == (
        '{\n "as_of": "now",\n "workers": [\n  {"name": "a", "in": true, "sizes": [1, 2]},\n  {"name": "狗"}\n ],\n'
        ' "models": []\n}\n'
    )
    assert json.loads(text) == document


def test_half_a_surrogate_pair_is_written_as_a_question_mark(tmp_path: Path) -> None:
    write_atomically(tmp_path / "status.json", render_json({"reason": json.loads('"\\ud800 狗"')}))
    assert json.loads((tmp_path / "status.json").read_text(encoding="utf-8")) == {"reason": "? 狗"}
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o644
