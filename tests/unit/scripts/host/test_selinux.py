from pathlib import Path

from scripts.host.selinux import faults, label_faults


def test_folders_that_containers_may_not_read_are_named_with_the_command() -> None:
    types = {
        Path("/srv/my models"): "user_home_t",
        Path("/srv/labelled"): "container_file_t",
        Path("/srv/shared"): "container_ro_file_t",
        Path("/mnt/nfs"): "",
    }
    assert label_faults(types) == [
        "/srv/my models: found the SELinux type user_home_t, needed one for containers: "
        "run as root: chcon -R -t container_file_t '/srv/my models'"
    ]


def test_without_selinux_nothing_is_asked_of_docker(tmp_path: Path) -> None:
    assert faults([tmp_path]) == []
