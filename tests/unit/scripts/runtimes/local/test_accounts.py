import os
from pathlib import Path

from scripts.runtimes.local.accounts import prefix, service_account
from scripts.runtimes.local.confine import closed_folder
from tests.unprivileged_user import as_unprivileged


def test_an_ordinary_account_is_kept_without_a_way_to_more_rights() -> None:
    with as_unprivileged():
        account, own = service_account(), os.geteuid()
        assert prefix(account, [Path("/")], [80], workers=1) == ["setpriv", "--no-new-privs"]
    assert account.pw_uid == own != 0


def test_the_outermost_closed_folder_is_found_by_owner_group_and_others(tmp_path: Path) -> None:
    inner = tmp_path / "a/b/c"
    inner.mkdir(parents=True)
    status, other = inner.stat(), 12345
    (tmp_path / "a").chmod(0o701)
    (tmp_path / "a/b").chmod(0o710)
    assert closed_folder(inner, other, other) in {tmp_path / "a/b", *tmp_path.parents, tmp_path}
    tmp_path.chmod(0o701)
    assert closed_folder(inner, other, status.st_gid) in {tmp_path / "a", *tmp_path.parents}
    assert closed_folder(inner, status.st_uid, other) is None
