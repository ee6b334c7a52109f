"""The variables that keep libraries offline: one list for containers, services and login shells."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.host.offline import variables
from worker.contract.settings import offline_variables


def test_a_server_without_the_file_has_the_kits_variables(tmp_path: Path) -> None:
    assert variables(tmp_path / "offline.env") == offline_variables()


def test_a_servers_variables_are_added_and_override(tmp_path: Path) -> None:
    file = tmp_path / "offline.env"
    file.write_text("# a comment\n\nHF_HUB_OFFLINE=0\nTORCH_HOME=/srv/a folder=1\n")
    assert variables(file) == offline_variables() | {"HF_HUB_OFFLINE": "0", "TORCH_HOME": "/srv/a folder=1"}


def test_a_line_that_is_not_a_variable_is_rejected(tmp_path: Path) -> None:
    file = tmp_path / "offline.env"
    file.write_text("HF_HUB_OFFLINE=1\nexport A=1\n")
    with pytest.raises(CommandError) as error:
        variables(file)
    assert str(error.value) == (
        f"{file}: found 'export A=1', needed NAME=value: run scripts/init-server.sh again, which writes the file"
    )
