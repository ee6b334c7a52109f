"""What is found of a kit that was unpacked by an early version."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.survey.bundle import check_not_served


@pytest.mark.parametrize(("runtime", "refused"), [("local", True), ("compose", True), ("swarm", False), ("", False)])
def test_a_folder_is_not_replaced_while_a_service_runs_from_it(tmp_path: Path, runtime: str, refused: bool) -> None:
    if runtime:
        (tmp_path / "runtime").write_text(f"{runtime}\n")
    with pytest.raises(CommandError, match=f"found a service .{runtime}.") if refused else nullcontext():
        check_not_served(tmp_path)
