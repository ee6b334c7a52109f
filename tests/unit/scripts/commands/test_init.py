"""What `make init` refuses before it reaches a server."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT
from scripts.commands import ServiceOptions
from scripts.commands.init import InitOptions, run

TOKEN = "SWMTKN-1-" + "a" * 50 + "-" + "b" * 25 + "@10.0.0.1"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (InitOptions(), 'HOSTS: found none, needed at least one server: make init HOSTS="root@a root@b"'),
        (InitOptions(hosts="root@a root@a"), "HOSTS: found root@a twice, needed each server once"),
        (InitOptions(hosts="-oProxyCommand=x"), "HOSTS: found -oProxyCommand=x, needed the form user@host"),
        (
            InitOptions(hosts="root@a", join_file=TOKEN),  # which is not repeated
            "JOIN: found no such file that can be read, needed one that says TOKEN@ADDRESS",
        ),
    ],
)
def test_hosts_and_the_join_file_are_checked_first(tmp_path: Path, options: InitOptions, fault: str) -> None:
    service = ServiceOptions(cluster=ROOT / "compose/cluster.toml", run_dir=tmp_path)
    with pytest.raises(CommandError) as refusal:
        run(service, options)
    assert refusal.value.lines == (fault,)
