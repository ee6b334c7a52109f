"""The keys that Nginx knows: their list, and the maps made of it."""

import json

import pytest

from nginx.gate.access import KEYS_FILE, PATTERNS, Key, loaded_keys, parse_keys, render_access, views
from nginx.gate.members import MembersError
from nginx.gate.options import Options, parse_options
from nginx.gate.upstreams import render_upstreams
from scripts.cluster import keys as scripts_keys
from tests.unit.nginx.peers import LISTED

ON = Options(keys=True, admin_from=("10.0.0.0/8", "::1/128"))
ROW = {"id": "0123456789abcdef", "name": "line-3", "role": "client", "models": [], "hash": "x" * 22}
KEY = Key("0123456789abcdef", "line-3", "client", (), "x" * 22)


def test_what_the_commands_write_is_what_the_gate_reads() -> None:
    _, key = scripts_keys.new_key("line-3", "client", ("b", "a"))
    (read,) = parse_keys(scripts_keys.render_keys([key]))
    assert read == Key(key.id, key.name, key.role, ("a", "b"), key.hash)
    patterns = {name: getattr(scripts_keys, name.upper()).pattern for name in ("id", "name", "hash")}
    assert patterns | {"role": "|".join(scripts_keys.ROLES)} == PATTERNS
    assert parse_keys("") == ()


@pytest.mark.parametrize(
    "text",
    ["[]", "{", "null", '{"keys": 1}', '{"keys": ["x"]}', '{"keys": [{}]}', json.dumps({"keys": [ROW, ROW]})]
    + [
        json.dumps({"keys": [{**ROW, name: value}]})
        for name, value in {
            "id": "0123456789ABCDEF", "name": 'a"; x', "role": "root", "hash": "x" * 23, "models": ["a b"],
        }.items()
    ]
    + [json.dumps({"keys": [{**ROW, "models": "photos"}]}), json.dumps({"keys": [{**ROW, "name": 1}]})],
)  # fmt: skip
def test_a_list_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(MembersError, match=rf"^{KEYS_FILE}: found"):
        parse_keys(text)


def test_the_maps_say_what_a_key_is_for() -> None:
    limited = Key("f" * 16, "b", "client", ("b", "gone"), "y" * 22)
    text = render_upstreams({"a": LISTED, "b": {}}, options=ON, keys=[KEY, limited])
    (view,) = views([KEY, limited])
    assert views([KEY, limited]) == {view: ("b", "gone")}
    assert f'map "$model $key_view" $default_model {{\n    default "";\n    " {view}" "b";\n}}\n' in text
    assert f'    "{KEY.id}" "{"x" * 22}";\n' in text
    assert 'geo $admin_address {\n    default "";\n    10.0.0.0/8 listed;\n    ::1/128 listed;\n}\n' in text
    refused = f'$pool_refused {{\n    default "1";\n    "{view} pool_b" "";\n    "~^ " "";\n}}'
    assert refused in text
    assert loaded_keys(text) == [KEY.id, limited.id]


def test_without_keys_nginx_needs_no_module_for_them() -> None:
    text = "\n".join(render_access(Options(), [KEY], ["a"]))
    assert "secure_link" not in text
    assert "geo" not in text
    assert KEY.hash not in text
    assert loaded_keys(text) is None
    assert loaded_keys("\n".join(render_access(ON, [], ["a"]))) == []


def test_the_options_are_read() -> None:
    assert parse_options('{"gateway": {"keys": true, "admin_from": ["10.0.0.0/8", "::1"]}}') == ON


@pytest.mark.parametrize(
    "given", ['"keys": 1', '"keys": "true"', '"admin_from": "::1"', '"admin_from": ["x"]', '"admin_from": [[]]']
)
def test_options_that_are_none_are_refused(given: str) -> None:
    with pytest.raises(MembersError, match=r"^gateway/"):
        parse_options(f'{{"gateway": {{{given}}}}}')
