"""Kernel, memory, disk, host name, ports and mounts, judged from recorded texts."""

import pytest

from scripts.base.errors import CommandError
from scripts.bootstrap.checks import machine

# Of a Debian 12 with a Docker in a swarm: dockerd listens on 2377 and 7946, sshd on 22, a client is connected to it.
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17731 1 0000000000000000 100
   1: 0100007F:1F90 0100007F:BB38 01 00000000:00000000 02:000A7214 00000000     0        0 73633 2 0000000000000000 20
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:0949 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
   1: 00000000000000000000000000000000:1F0A 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 1127: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41562 2 0000000000000000 0
"""
MOUNTS = """\
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
88 27 254:16 / /srv/wanwu/models ro,nosuid,nodev,noexec,relatime shared:42 - ext4 /dev/vdb ro
95 27 0:52 / /var/lib/docker/overlay2/9ae1/merged rw,relatime - overlay overlay rw,lowerdir=/a
96 27 0:53 / /var/lib/docker/containers/9ae1/mounts/shm rw - tmpfs shm rw,size=65536k
97 27 0:54 / /var/lib/docker-other rw - tmpfs tmpfs rw
98 27 0:55 / /mnt/two\\040words rw - tmpfs tmpfs rw
"""


def test_a_version_is_compared_by_its_numbers() -> None:
    assert machine.numbers("28.5.2+dfsg4") == (28, 5, 2)
    assert machine.numbers("6.1.0-41-amd64") == (6, 1, 0)
    assert machine.numbers("") == machine.numbers("none") == ()


def test_an_old_kernel_is_refused() -> None:
    for release in ("5.10.0-30-amd64", "6.1.0-41-cloud-arm64", "10.0"):
        machine.check_kernel(release)
    with pytest.raises(CommandError, match=r"^found kernel 4\.19\.90-52\.el8, needed 5\.10 or newer: upgrade it and "):
        machine.check_kernel("4.19.90-52.el8")


def test_too_little_memory_is_refused() -> None:
    machine.check_memory("MemTotal:        1953126 kB\nMemFree: 1 kB\n")
    for text, found in (("MemTotal:        1000000 kB\n", 1024), ("", 0)):
        with pytest.raises(CommandError, match=f"^found {found} MB of memory, needed 2000: add memory$"):
            machine.check_memory(text)


def test_images_and_packages_need_three_times_their_size_and_a_spare_gigabyte() -> None:
    machine.check_space(4000, 1000)
    with pytest.raises(CommandError, match=r"^found 3999 MB free for /var/lib/docker, needed 4000: "):
        machine.check_space(3999, 1000)


@pytest.mark.parametrize("name", ["Alpha", "1st", "a_b", "", "a" * 32])
def test_a_host_name_that_no_slot_can_have_is_refused(name: str) -> None:
    assert machine.check_name("gpu-7.example.org") == "gpu-7"
    with pytest.raises(CommandError, match=f"^found the host name {name}, needed up to 31 lower-case letters"):
        machine.check_name(name)


TABLES = {"tcp": TCP, "tcp6": TCP6, "udp": UDP, "udp6": ""}


def test_a_port_in_use_is_refused_unless_it_is_swarms_own() -> None:
    machine.check_ports(TABLES, 8080, in_swarm=True)  # 8080 is a client's connection, on which no one listens
    said = "found port {} (tcp) in use, needed it for {}: stop the process that listens there"
    for gateway, in_swarm, port, user in ((8080, False, 2377, "Docker Swarm"), (22, True, 22, "the gateway")):
        with pytest.raises(CommandError) as refusal:
            machine.check_ports(TABLES, gateway, in_swarm)
        assert str(refusal.value) == said.format(port, user)


def test_udp_has_no_state_that_says_who_listens() -> None:
    with pytest.raises(CommandError, match=r"^found port 4789 \(udp\) in use, needed it for Docker Swarm"):
        machine.check_ports({"udp": UDP}, 8080, in_swarm=False)


def test_mounts_below_a_folder_come_deepest_first() -> None:
    assert machine.mounts_below(MOUNTS, "/var/lib/docker") == [
        "/var/lib/docker/overlay2/9ae1/merged",
        "/var/lib/docker/containers/9ae1/mounts/shm",
    ]
    assert machine.mounts_below(MOUNTS, "/srv/wanwu/models") == ["/srv/wanwu/models"]
    assert machine.mount_points(MOUNTS)[-1] == "/mnt/two words"
