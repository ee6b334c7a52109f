"""init-server.sh on Debian servers with systemd: the mount unit, Docker, and what a boot makes of both."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.render.unit import compose_unit
from tests.bootstrap.bundles import Image
from tests.bootstrap.conftest import Site
from tests.bootstrap.hosts import Host
from tests.bootstrap.test_init_server import (
    MOUNTED,
    NOTHING,
    VOLUME,
    changes,
    read_in_a_container,
    set_up_as_shown,
    slots,
    volume_image,
)
from tests.bootstrap.trees import difference, tree
from tests.wait import until

UNIT = "srv-wanwu-models.mount"
ON = dict.fromkeys((UNIT, "docker.service", "multi-user.target"), "active")
# An administrator's own Docker, without what else the bundle brings.
INSTALL = """
echo "deb [trusted=yes] file:/media/bundle/packages/debian-12 ./" >/tmp/sources.list
set -- -qq --yes --no-install-recommends -o Dir::Etc::SourceList=/tmp/sources.list -o Dir::Etc::SourceParts=/dev/null
apt-get "$@" update && apt-get "$@" install docker.io docker-cli
"""


@contextmanager
def disk(file: Path) -> Iterator[str]:
    """A block device that holds what is in `file`."""
    command = ["losetup", "--find", "--show", str(file)]
    device = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def shown(host: Host, unit: str, name: str) -> str:
    return host.says("systemctl", "show", "--value", f"--property={name}", unit)


def states(host: Host) -> dict[str, str]:
    return {unit: shown(host, unit, "ActiveState") for unit in ON}


def units(host: Host) -> str:
    """Every unit file, whether it is enabled, and which of the units that matter here systemd knows."""
    return host.says("systemctl", "list-unit-files", "--no-legend") + host.says(
        "systemctl", "list-units", "--all", "--no-legend", "--plain", "srv-*", "docker*", "containerd*"
    )


def test_a_disk_is_mounted_before_docker_at_every_boot_and_without_it_docker_does_not_start(
    site: Site, tiny: Image
) -> None:
    media = site.carry(["debian-12"], [tiny])
    volume_image(media / "volume.img", media / "bundle/models")
    with disk(media / "volume.img") as device:
        host = site.host_with_systemd("gamma", media)
        order = ["--bundle", "/media/bundle", "--models", device, "--first"]
        before, units_before = tree(host), units(host)

        set_up_as_shown(host, before, *order)
        assert states(host) == ON
        assert MOUNTED in host.says("findmnt", "-no", "OPTIONS", VOLUME)
        assert UNIT in shown(host, "docker", "Requires")
        assert UNIT in shown(host, "docker", "After")

        what_the_packages_and_the_slots_are(host)

        made, engine = tree(host), shown(host, "docker", "MainPID")
        assert NOTHING.format("gamma") in host.init(*order).stdout
        assert difference(made, tree(host)) == ""
        assert shown(host, "docker", "MainPID") == engine

        host.shut_down()
        host = site.boot(host, media)
        assert states(host) == ON
        mounted = int(shown(host, UNIT, "ActiveEnterTimestampMonotonic"))
        assert mounted < int(shown(host, "docker", "ExecMainStartTimestampMonotonic"))
        assert '"test-volume"' in read_in_a_container(host, f"{VOLUME}/.wanwu-volume.json")
        assert NOTHING.format("gamma") in host.init(*order).stdout
        host.shut_down()

    off = ON | {UNIT: "inactive", "docker.service": "inactive"}
    host = site.boot(host, media)
    assert states(host) == off

    with disk(media / "volume.img") as device:
        again = host.init("--bundle", "/media/bundle", "--models", device, "--first")
        assert (again.returncode, again.stderr) == (0, "")
        assert [line.split()[1] for line in changes(again.stdout)] == ["mount", "start"]
        assert states(host) == ON
        host.says("systemctl", "stop", UNIT)
        assert states(host) == off

    # Whoever asks Docker now waits for the disk.
    gone = host.init("--uninstall")
    assert (gone.returncode, gone.stderr) == (0, "")
    assert difference(before, tree(host)) == ""
    assert difference(units_before, units(host)) == ""
    assert (media / "bundle/models/photos/model.toml").exists()


def what_the_packages_and_the_slots_are(host: Host) -> None:
    assert host.says("dpkg", "--audit") == ""
    versions = host.says("sh", "-c", "docker compose version --short && docker buildx version && python3 --version")
    assert re.fullmatch(r"2\..*\n.* 0\..*\nPython 3\.11\..*", versions)
    daemon = json.loads((host.root / "etc/docker/daemon.json").read_text())
    assert daemon == {
        "cgroup-parent": f"/{host.cgroup}",
        "node-generic-resources": [f"slot={name}" for name in slots(host)],
        "labels": ["wanwu.slots={}"],
    }
    resources = "{{json .Description.Resources.GenericResources}}"
    told = json.loads(host.says("docker", "node", "inspect", "self", "--format", resources))
    assert [each["NamedResourceSpec"]["Value"] for each in told] == sorted(slots(host))
    assert host.says("sh", "-lc", "echo $HF_HUB_OFFLINE $TORCH_HOME") == "1 /srv/wanwu/models/.cache/torch"


# The image has no program: the host's is used.
PROJECT = """
services:
  worker:
    image: wanwu-tiny:test
    pull_policy: never
    network_mode: none
    command: ["/usr/bin/sleep", "infinity"]
    restart: unless-stopped
    volumes:
      - {type: bind, source: /usr, target: /usr, read_only: true}
      - {type: bind, source: /lib64, target: /lib64, read_only: true}
      - {type: bind, source: /lib, target: /lib, read_only: true}
      - {type: bind, source: /srv/models, target: /models, read_only: true, bind: {create_host_path: false}}
"""
AT_BOOT = Path("etc/systemd/system/wanwu.service")
# What the containers of PROJECT leave.
TAKE_AWAY = f"""
systemctl disable --quiet --now wanwu.service
rm /{AT_BOOT} /srv/project.yaml
rmdir /srv/models
systemctl daemon-reload
docker rm --force site-worker-1
"""


def running(host: Host) -> str:
    return host.run("docker", "ps", "--format", "{{.Names}}").stdout.strip()


def test_containers_come_back_at_boot_and_after_a_late_volume_and_a_docker_that_ran_before_runs_after_uninstall(
    site: Site, tiny: Image
) -> None:
    media = site.carry(["debian-12"], [tiny])
    host = site.host_with_systemd("delta", media)
    host.says("sh", "-c", INSTALL)
    before, units_before = tree(host), units(host)

    real = host.init("--bundle", "/media/bundle", "--models", "/media/bundle/models", "--first")
    assert (real.returncode, real.stderr) == (0, "")
    assert states(host) == ON
    assert "-> restart Docker" in changes(real.stdout)

    (host.root / "srv/models").mkdir()
    (host.root / "srv/project.yaml").write_text(PROJECT)
    command = ["/usr/bin/docker", "compose", "--project-name", "site", "--file", "/srv/project.yaml"]
    text = compose_unit(Path("/srv/run"), [*command, "up", "--detach", "--no-recreate"], {"HOME": "/root"}, [], 252)
    (host.root / AT_BOOT).write_text(text)
    host.says("systemctl", "daemon-reload")
    host.says("systemctl", "enable", "--now", "wanwu.service")
    assert running(host) == "site-worker-1"

    host.cut_power()
    host = site.boot(host, media)
    until("the container is back", lambda: running(host) == "site-worker-1")

    host.shut_down()
    (host.root / "srv/models").rmdir()
    host = site.boot(host, media)
    until("the unit has tried", lambda: shown(host, "wanwu.service", "Result") == "exit-code")
    assert running(host) == ""
    host.says("mkdir", "/srv/models")
    until("the container is back again", lambda: running(host) == "site-worker-1")
    host.says("sh", "-c", TAKE_AWAY)

    gone = host.init("--uninstall")
    assert (gone.returncode, gone.stderr) == (0, "")
    assert difference(before, tree(host)) == ""
    assert difference(units_before, units(host)) == ""
    assert host.says("docker", "info", "--format", "{{.Swarm.LocalNodeState}}") == "inactive"
