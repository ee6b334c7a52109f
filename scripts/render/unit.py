"""Render the systemd units that start a service at boot: pure functions, tested as exact text."""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NOTICE = "Rendered by scripts/render; changes here are lost at the next `make up`. Put yours into a drop-in."
FIRST_PAUSE_S, LAST_PAUSE_S, PAUSES = 1, 60, 6  # between two starts of a service that does not run
PAUSE_S = 5  # where systemd cannot let them grow
GROWING_PAUSES = 254  # the first systemd that can
PRIVATE = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - what PrivateTmp would hide
# What scripts/runtimes/local/confine.py and setpriv do before the service's own account is entered: mounts, the
# account, limits; a port below 1024; and, to stop it, that account's socket. The processes have none of these.
CAPABILITIES = "CAP_SYS_ADMIN CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_SYS_RESOURCE CAP_DAC_OVERRIDE CAP_NET_BIND_SERVICE"


@dataclass(frozen=True)
class Service:
    """What the unit starts, and what this machine has."""

    run: Path
    check: Sequence[str | Path]  # a command that must succeed before each start
    command: Sequence[str | Path]
    stop: Sequence[str | Path]
    stop_s: int  # until what still runs is killed
    directory: Path  # where the commands run
    environment: Mapping[str, str]
    needed: Collection[Path]  # folders that may lie on volumes
    mounts: Collection[Path]  # the mount points of this machine
    memory_bytes: int
    processes: int
    gpus: bool
    systemd: int  # its version


def unit(service: Service) -> str:
    """Return the text of the unit."""
    volumes = " ".join(mount_units(service.needed, service.mounts))
    hidden = any(path.is_relative_to(place) for path in service.needed for place in PRIVATE)
    return (
        f"# {NOTICE}\n"
        "[Unit]\n"
        f"Description=Wanwu, image classification, from {_escape(str(service.run))}\n"
        # Wanted, not required: of a volume that comes late only the workers that need it wait.
        f"Wants={volumes}\n"
        f"After=network.target {volumes}".rstrip()
        + "\n"
        "StartLimitIntervalSec=0\n"
        "\n"
        "[Service]\n"
        "Type=exec\n"
        f"WorkingDirectory={_escape(str(service.directory))}\n"
        f"{_variables(service.environment)}"
        f"ExecStartPre={_line(service.check)}\n"
        f"ExecStart={_line(service.command)}\n"
        f"ExecStop={_line(service.stop)}\n"
        f"TimeoutStopSec={service.stop_s}\n"
        "KillMode=mixed\n"
        "Restart=always\n"
        f"{_pauses(service.systemd)}"
        f"MemoryMax={service.memory_bytes}\n"
        f"TasksMax={service.processes}\n"
        f"CapabilityBoundingSet={CAPABILITIES}\n"
        "NoNewPrivileges=yes\n"
        "ProtectSystem=strict\n"
        f"ReadWritePaths={_quote(str(service.run))}\n"
        f"PrivateTmp={'no' if hidden else 'yes'}\n"
        f"PrivateDevices={'no' if service.gpus else 'yes'}\n"
        "ProtectKernelTunables=yes\n"
        "ProtectKernelModules=yes\n"
        "ProtectKernelLogs=yes\n"
        "ProtectControlGroups=yes\n"
        "ProtectClock=yes\n"
        "ProtectHostname=yes\n"
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
        "RestrictNamespaces=mnt\n"
        "RestrictRealtime=yes\n"
        "RestrictSUIDSGID=yes\n"
        "LockPersonality=yes\n"
        "SystemCallArchitectures=native\n"
        "\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def compose_unit(
    run: Path, command: Sequence[str | Path], environment: Mapping[str, str], volumes: Sequence[str], systemd: int
) -> str:
    """Return the text of the unit that starts the containers of `run` after Docker did, by `command`, until all run.

    Docker tries no container again that it could not start, such as one whose model folder was not there yet.
    `volumes` are the units of the mounts.
    """
    mounts = " ".join(volumes)
    return (
        f"# {NOTICE}\n"
        "[Unit]\n"
        f"Description=Wanwu, image classification, containers of {_escape(str(run))}\n"
        f"Wants=docker.service {mounts}".rstrip()
        + f"\nAfter=docker.service {mounts}".rstrip()
        + "\n"
        "StartLimitIntervalSec=0\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        f"{_variables(environment)}"
        f"ExecStart={_line(command)}\n"
        "Restart=on-failure\n"
        f"{_pauses(systemd)}"
        "\n"
        "[Install]\n"
        "WantedBy=multi-user.target\n"
    )


def mount_units(paths: Iterable[Path], mounts: Collection[Path]) -> list[str]:
    """Return the units of those of `mounts`, but for /, that `paths` lie on; sorted."""
    points = {point for path in paths for point in (path, *path.parents) if point in mounts and point != Path("/")}
    return sorted(f"{escaped(point)}.mount" for point in points)


def escaped(path: Path) -> str:
    """Return `path` as it stands in the name of a unit, as `systemd-escape --path` prints it."""
    parts = "/".join(path.parts[1:])
    return re.sub(r"^\.|[^A-Za-z0-9:_./]", _escaped_bytes, parts).replace("/", "-")


def _escaped_bytes(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in os.fsencode(found[0]))


def _pauses(systemd: int) -> str:
    if systemd < GROWING_PAUSES:
        return f"RestartSec={PAUSE_S}\n"
    return f"RestartSec={FIRST_PAUSE_S}\nRestartSteps={PAUSES}\nRestartMaxDelaySec={LAST_PAUSE_S}\n"


def _variables(environment: Mapping[str, str]) -> str:
    return "".join(f"Environment={_quote(f'{name}={value}')}\n" for name, value in environment.items())


def _line(command: Sequence[str | Path]) -> str:
    return " ".join(_quote(str(part)).replace("$", "$$") for part in command)


def _quote(text: str) -> str:
    """Return `text` as one word; it has no control characters, which run_dir() and path_faults() refuse."""
    return '"' + _escape(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escape(text: str) -> str:
    return text.replace("%", "%%")
