"""Versions of files' formats: every reader takes its own and earlier ones, and refuses later ones by name."""

import json
from pathlib import Path

import pytest

from nginx.gate import members
from scripts.base.errors import CommandError
from scripts.cluster.config import parse_cluster
from worker.contract import schemas
from worker.contract.toml_parser import read_toml
from worker.contract.toml_reader import ModelError

CLUSTER = '[[models]]\nname = "m"\nfolder = "m"\n'
LATER = "needed at most 1: a later release wrote it: use that one"
POOLS = [{"model": "m", "discover": "tasks.m:80"}]


def test_the_gate_knows_the_schema_that_is_rendered_for_it() -> None:
    assert members.SCHEMA == schemas.MEMBERS


@pytest.mark.parametrize("found", [0, -1, 1.0, True, "1", None])
def test_what_is_no_version_is_refused(found: object) -> None:
    assert schemas.schema_fault(found, 2) == (
        f"schema: found {found!r}, needed a whole number from 1 to 2: correct it there"
    )


def test_cluster_toml_of_a_later_release_is_refused_by_name_alone() -> None:
    assert parse_cluster(f"schema = 1\n{CLUSTER}", "c.toml") == parse_cluster(CLUSTER, "c.toml")
    with pytest.raises(CommandError) as error:
        parse_cluster(f"schema = 2\nof_tomorrow = 1\n{CLUSTER}", "c.toml")
    assert error.value.lines == (f"c.toml: schema: found 2, {LATER}",)


def test_model_toml_of_a_later_release_is_refused_by_name_alone(tmp_path: Path) -> None:
    file = tmp_path / "model.toml"
    file.write_text('schema = 1\nname = "m"\n')
    assert read_toml(file) == {"name": "m"}
    file.write_text("schema = 2\nof_tomorrow = 1\n")
    with pytest.raises(ModelError) as error:
        read_toml(file)
    assert str(error.value) == f"{file}: schema: found 2, {LATER}"


def test_members_json_of_a_later_release_is_refused_by_name_alone() -> None:
    assert members.parse_members(json.dumps({"schema": 1, "pools": POOLS})) == members.parse_members(
        json.dumps({"pools": POOLS})
    )
    with pytest.raises(members.MembersError) as error:
        members.parse_members(json.dumps({"schema": 2, "of_tomorrow": 1, "pools": POOLS}))
    assert str(error.value) == "schema: found 2, needed 1 to 1: use the gateway of its own release"
