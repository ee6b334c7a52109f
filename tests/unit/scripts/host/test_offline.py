"""The variables that keep libraries offline: one list for containers, services and login shells."""

import re
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.host.offline import SERVER, variables
from worker.contract.settings import offline_variables


def test_a_server_that_was_not_set_up_has_the_kits_list(tmp_path: Path) -> None:
    assert variables(tmp_path / "offline.env") == offline_variables()


def test_what_a_server_says_is_added_and_wins(tmp_path: Path) -> None:
    file = tmp_path / "offline.env"
    file.write_text("# a comment\n\nHF_HUB_OFFLINE=0\nTORCH_HOME=/srv/a folder=1\n")
    assert variables(file) == offline_variables() | {"HF_HUB_OFFLINE": "0", "TORCH_HOME": "/srv/a folder=1"}


def test_a_line_that_is_no_variable_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "offline.env"
    file.write_text("HF_HUB_OFFLINE=1\nexport A=1\n")
    with pytest.raises(CommandError) as refusal:
        variables(file)
    assert str(refusal.value) == (
        f"{file}: found 'export A=1', needed NAME=value: run scripts/init-server.sh again, it writes the file"
    )


def test_containers_and_the_init_script_mean_the_same_file() -> None:
    assert f"OFFLINE={SERVER}\n" in (ROOT / "scripts/init-server.sh").read_text()
    listed = re.search(r"env_file:\n((?: +- .*\n)+)", (ROOT / "compose/worker.yaml").read_text())
    assert listed
    assert listed[1].split("\n") == [
        "      - ../worker/offline.env",
        f"      - {{path: {SERVER}, required: false}}  # what init-server.sh wrote, where it did",
        "",
    ]
