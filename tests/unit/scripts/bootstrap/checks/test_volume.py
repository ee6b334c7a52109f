"""How the model volume is mounted, and what it must hold."""

import json
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.checks import volume
from scripts.bundle.volume import sentinel

NAMES = (
    "万物", "two  words", " lead", "trail ", 'quo"te', "apo'strophe", "back\\slash", "back\\nslash", "😀", "👩\u200d🔬",
    "é", "-x", "tab\there", "$HOME", "[a-z]*", "%s", "\x7f",
)  # fmt: skip
DISK = volume.disk_volume(Path("/dev/sdb"), "xfs", "1f2e", is_device=True)


@pytest.mark.parametrize("ascii_only", [True, False])
def test_models_are_found_whatever_their_folders_are_called(ascii_only: bool) -> None:
    listed = json.dumps(json.loads(sentinel(dict.fromkeys(NAMES, "0123"))), ensure_ascii=ascii_only)
    volume.check_sentinel(listed, [".", ".wanwu-volume.json", *NAMES], "/odd")
    for name in NAMES:
        with pytest.raises(CommandError) as refusal:
            volume.check_sentinel(listed, [each for each in NAMES if each != name], "/odd")
        assert str(refusal.value) == (
            f"found no folder {name} on /odd, which its .wanwu-volume.json lists: copy the volume again"
        )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"volume": "", "models": {}}', '{"volume": "a"}'])
def test_a_damaged_sentinel_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=r"^found a damaged \.wanwu-volume\.json on /odd: copy the bundle's models/"):
        volume.check_sentinel(text, [], "/odd")


def test_each_source_has_its_own_options() -> None:
    assert (DISK.what, DISK.type, DISK.options) == ("UUID=1f2e", "xfs", volume.OPTIONS)
    image = volume.disk_volume(Path("/media/v.img"), "ext4", "1f2e", is_device=False)
    assert (image.what, image.options) == ("/media/v.img", f"loop,{volume.OPTIONS}")
    assert volume.folder_volume(Path("/media/m")).options == f"bind,{volume.OPTIONS}"
    assert volume.is_nfs("nas:/models")
    assert volume.nfs_volume("nas:/models").options == f"{volume.OPTIONS},_netdev"


@pytest.mark.parametrize(("found", "named"), [("", "no file system"), ("vfat", "vfat")])
def test_a_file_system_that_is_none_of_ours_is_refused(found: str, named: str) -> None:
    with pytest.raises(CommandError, match=f"^found {named} on /dev/sdb, needed ext4 or xfs: create the volume again$"):
        volume.disk_volume(Path("/dev/sdb"), found, "", is_device=True)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("/srv/wanwu/models", "found --models /srv/wanwu/models, where the volume will be mounted: name the source"),
        ("/mnt/two words", "found white space in /mnt/two words, needed a path without: rename it"),
    ],
)
def test_a_source_that_fstab_cannot_name_is_refused(source: str, fault: str) -> None:
    with pytest.raises(CommandError, match=f"^{fault}"):
        volume.check_source(Path(source))


def test_the_mount_unit_names_the_disk_by_its_link() -> None:
    text = volume.unit_text(DISK)
    assert "What=/dev/disk/by-uuid/1f2e\nWhere=/srv/wanwu/models\nType=xfs\n" in text
    assert text.endswith("WantedBy=multi-user.target")
    assert volume.unit_text(volume.nfs_volume("nas:/m")).endswith("WantedBy=remote-fs.target")


def test_fstab_gets_one_line_in_place_of_an_older_one() -> None:
    kept = "# /srv/wanwu/models is read-only\nUUID=1 / ext4 defaults 0 1"
    wanted = f"{kept}\nUUID=1f2e /srv/wanwu/models xfs {volume.OPTIONS} 0 0"
    assert volume.fstab_text(f"{kept}\n/dev/old /srv/wanwu/models ext4 ro 0 0\n", DISK) == wanted
    assert volume.fstab_text(wanted, DISK) == wanted
    assert volume.fstab_text("", DISK) == wanted.splitlines()[-1]
