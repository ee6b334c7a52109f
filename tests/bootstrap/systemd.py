"""Servers with systemd: it is the first process of the host's namespaces, with cgroups and devices of its own."""

import signal
from pathlib import Path

from tests.bootstrap.hosts import First

PACKAGES = ("systemd", "systemd-sysv", "dbus", "udev")
# What would change the kernel that all share, wait for what no host here has, or write at its own times.
MASKED = (
    "systemd-sysctl.service", "systemd-modules-load.service", "systemd-tmpfiles-setup-dev.service", "getty.target",
    "systemd-timesyncd.service", "systemd-random-seed.service", "systemd-logind.service", "systemd-update-utmp.service",
    "timers.target", "ssh.service",
)  # fmt: skip
# No journal on disk; a disk that is missing is waited for less long than the 90 s of a real server; and of the devices
# that are there before udev is, only the loop devices are this host's.
# systemd shares its mounts with what it starts, but not where it takes its machine for a container.
SHARED = "etc/systemd/system/shared.service"
FILES = {
    SHARED: (
        "[Unit]\nDefaultDependencies=no\nBefore=local-fs-pre.target\n"
        "[Service]\nType=oneshot\nExecStart=mount --make-rshared /\n"
    ),
    "etc/systemd/system.conf.d/test.conf": "[Manager]\nDefaultDeviceTimeoutSec=5s\n",
    "etc/systemd/journald.conf.d/test.conf": "[Journal]\nStorage=volatile\n",
    "etc/systemd/system/systemd-udev-trigger.service.d/test.conf": (
        "[Service]\nExecStart=\nExecStart=udevadm trigger --action=add --subsystem-match=block --sysname-match=loop*\n"
    ),
}
# systemd puts every process into a cgroup of its own: it may see none but those below the host's.
ENTER = """
findmnt -rnt cgroup,cgroup2 -o TARGET | while read -r place; do
    mkdir -p "$place/$0"
    for file in cpuset.cpus cpuset.mems; do [ ! -e "$place/$file" ] || cat "$place/$file" >"$place/$0/$file"; done
    echo $$ >"$place/$0/cgroup.procs"
done"""
# Of the kernel's settings only the network's are the host's own. Its devices are those of a server with nothing but
# loop devices, of which the kernel tells udev; /run/udev/control tells systemd at its start that udev will be there.
PREPARE = """
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,ro,bind "$root/proc/sys"
mount --bind /proc/sys/net "$root/proc/sys/net"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
findmnt -rnt cgroup,cgroup2 -o TARGET,FSTYPE,FS-OPTIONS | grep -v "^$root/" | while read -r place type options; do
    mkdir -p "$root$place"
    mount -t "$type" -o "$options" "$type" "$root$place"
done
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty fuse net loop-control; do cp -a "/dev/$name" "$root/dev"; done
cp -a /dev/loop[0-9]* "$root/dev"
cp -a /dev/null "$root/dev/console"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/udev"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
touch "$root/run/udev/control"
export container=wanwu
"""
SYSTEMD = First(
    "/lib/systemd/systemd",
    ENTER,
    ("--mount", "--net", "--pid", "--uts", "--cgroup"),
    PREPARE,
    ready="systemctl is-system-running --wait | grep -qxE 'running|degraded'",
    stop="true",
    end=signal.SIGRTMIN + 4,  # poweroff.target
)


def configure(root: Path) -> None:
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    # As `make up` leaves the distribution's Nginx.
    (root / "etc/systemd/system/multi-user.target.wants/nginx.service").unlink()
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    wants = root / "etc/systemd/system/local-fs-pre.target.wants"
    wants.mkdir()
    (wants / Path(SHARED).name).symlink_to(f"/{SHARED}")
