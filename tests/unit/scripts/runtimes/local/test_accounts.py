import os
from pathlib import Path

from scripts.runtimes.local.accounts import choose_account
from tests.unprivileged_user import as_unprivileged


def test_an_ordinary_account_is_kept() -> None:
    with as_unprivileged():
        chosen, own = choose_account(Path("/no/python"), [Path("/no/file")], Path("/no")), os.geteuid()
    assert chosen.pw_uid == own != 0
