"""daemon.json with this server's slots; what an administrator wrote there stays."""

import json

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.checks.daemon import daemon_text, read_daemon

SLOTS = {"slots": {"a-cpu0": {}, "a-cpu1": {}}, "asked": {"workers": 2}}
OURS = {"node-generic-resources": ["slot=a-cpu0", "slot=a-cpu1"], "labels": ['wanwu.slots={"workers": 2}']}


def test_the_slots_are_added_to_what_is_there() -> None:
    assert json.loads(daemon_text("", SLOTS, nvidia=False)) == OURS
    own = {"labels": ["rack=7", "wanwu.slots={}"], "node-generic-resources": ["slot=old", "fpga=1"], "mtu": 9000}
    assert json.loads(daemon_text(json.dumps(own), SLOTS, nvidia=False)) == {
        "labels": ["rack=7", *OURS["labels"]],
        "node-generic-resources": ["fpga=1", *OURS["node-generic-resources"]],
        "mtu": 9000,
    }


def test_a_file_that_says_it_already_keeps_its_text() -> None:
    written = json.dumps(OURS)
    assert daemon_text(f"{written}\n", SLOTS, nvidia=False) == f"{written}\n"


def test_nvidias_runtime_becomes_the_default_and_an_own_path_of_it_stays() -> None:
    found = json.loads(daemon_text('{"runtimes": {"nvidia": {"path": "/own"}, "runsc": {}}}', SLOTS, nvidia=True))
    assert found["default-runtime"] == "nvidia"
    assert found["runtimes"] == {"nvidia": {"path": "/own"}, "runsc": {}}
    assert json.loads(daemon_text("", SLOTS, nvidia=True))["runtimes"] == {
        "nvidia": {"path": "nvidia-container-runtime"}
    }


def test_what_is_no_json_is_refused() -> None:
    assert read_daemon(" \n") == {}
    with pytest.raises(CommandError, match=r"^found .*daemon\.json, which cannot be read as JSON \(.*\): repair it$"):
        read_daemon("{")
