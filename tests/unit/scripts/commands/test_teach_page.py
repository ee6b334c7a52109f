"""`make teach-page` where it cannot run."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.commands import ServiceOptions
from scripts.commands.teach_page import TeachPageOptions, run


@pytest.mark.parametrize("runtime", ["compose", "swarm"])
def test_a_gateway_in_a_container_is_refused_with_the_commands_that_do_the_same(runtime: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        run(ServiceOptions(run_dir=tmp_path / "run", runtime=runtime), TeachPageOptions())
    assert refused.value.lines == (
        f"found the {runtime} runtime, whose Nginx runs in a container and cannot reach this command, needed the local "
        "one: use `make teach NAME=... IMAGES=DIR` and `make use NAME=...`, or `make up RUNTIME=local`",
    )


def test_without_a_service_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"/run: found no service that runs from here, needed one: run `make up`"):
        run(ServiceOptions(run_dir=tmp_path / "run", runtime="local"), TeachPageOptions())
