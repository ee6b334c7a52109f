import os
from pathlib import Path

from scripts.runtimes.local.accounts import choose_account
from tests.nobody import as_nobody


def test_an_ordinary_account_is_kept() -> None:
    with as_nobody():
        chosen, own = choose_account(Path("/no/python"), [Path("/no/file")], Path("/no")), os.geteuid()
    assert chosen.pw_uid == own != 0
