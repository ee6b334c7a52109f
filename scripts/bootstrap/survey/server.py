"""Look at everything in order, and stop at the first check that fails."""

import os
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.bootstrap import machine, places
from scripts.bootstrap.checks.daemon import read_daemon
from scripts.bootstrap.checks.machine import check_kernel, check_memory, check_name, check_ports, check_space
from scripts.bootstrap.options import Options
from scripts.bootstrap.record import Record
from scripts.bootstrap.server import Bundle, Server
from scripts.bootstrap.survey.bundle import cluster_file, find_kit, find_port, read_bundle
from scripts.bootstrap.survey.docker import find_packages, old_docker
from scripts.bootstrap.survey.network import find_manager
from scripts.bootstrap.survey.volume import find_volume
from scripts.bundle.layout import IMAGES

WRITABLE = ("/etc", "/opt", "/srv", "/var/lib")


def survey(options: Options, system: str, work: Path, record: Record) -> Server:
    """Return what was found; raise CommandError with what is missing."""
    check_writable()
    bundle = read_bundle(Path(options.bundle))
    kit = find_kit(bundle)
    cluster = cluster_file(options)
    port = find_port(options, cluster, bundle)
    _check_machine(bundle, system, port, is_new=not record.entries())
    name = check_name(os.uname().nodename)
    read_daemon(machine.text_of(places.DAEMON_JSON))
    old = old_docker(record)
    nvidia = options.gpu == "auto" and _has_gpus()
    volume = find_volume(options.models, work, record)
    packages = find_packages(options, bundle.packages.get(system), system, work, record, old)
    join = find_manager(options)
    return Server(options, record, work, system, name, bundle, kit, cluster, port, nvidia, volume, packages, join)


def check_writable() -> None:
    for path in WRITABLE:
        if os.path.isdir(path) and not os.access(path, os.W_OK):
            raise CommandError(
                f"found {path} on a read-only file system, needed a writable one: mount -o remount,rw it"
            )


def _check_machine(bundle: Bundle, system: str, port: int, is_new: bool) -> None:
    check_kernel(os.uname().release)
    check_memory(machine.text_of("/proc/meminfo"))
    if is_new:  # an earlier run may have used the disk space and the ports
        folders = (bundle.folder / IMAGES, bundle.packages.get(system))
        packed = sum(path.stat().st_size for folder in folders if folder for path in folder.rglob("*"))
        check_space(machine.free_mb(places.DOCKER_TREES[0]), packed // 1_000_000)
        tables = {name: machine.text_of(f"/proc/net/{name}") for name in ("tcp", "tcp6", "udp", "udp6")}
        check_ports(tables, port, in_swarm=machine.swarm_state() == "active")


def _has_gpus() -> bool:
    """Return whether there are NVIDIA GPUs; raise CommandError if containers cannot use them."""
    listed = machine.ask("nvidia-smi", "-L") if machine.has("nvidia-smi") else ""
    if not listed.startswith("GPU "):
        return False
    if not machine.has("nvidia-container-runtime"):
        raise CommandError(
            "found GPUs, but no NVIDIA Container Toolkit, needed it to use them in containers: "
            "install it, or serve on CPUs with --gpu none"
        )
    return True
