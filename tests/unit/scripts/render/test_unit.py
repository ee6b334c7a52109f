"""The unit of the local runtime, as exact text."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.render.unit import Service, compose_unit, escaped, mount_units, unit

SERVICE = Service(
    run=Path("/srv/100% site/run"),
    check=["/usr/bin/python3", "-m", "gate", "init"],
    command=["/usr/bin/python3", "-I", "confine.py", "/srv/100% site", "--", "supervisord", "-c", "$HOME"],
    stop=["/usr/bin/env", "--chdir=/opt/kit", "python3"],
    stop_s=65,
    directory=Path("/opt/kit/nginx"),
    environment={"HOME": "/srv/100% site/run", "GATE": "'python' \"-m\" 'a\\b'"},
    needed=[Path("/opt/kit"), Path("/srv/models/photos"), Path("/srv/100% site")],
    mounts=[Path("/"), Path("/srv/models"), Path("/srv"), Path("/proc")],
    memory_bytes=3_000_000_000,
    processes=3072,
    gpus=False,
    systemd=252,
)
TEXT = r"""# Rendered by scripts/render; changes here are lost at the next `make up`. Put yours into a drop-in.
[Unit]
Description=Wanwu, image classification, from /srv/100%% site/run
Wants=srv-models.mount srv.mount
After=network.target srv-models.mount srv.mount
StartLimitIntervalSec=0

[Service]
Type=exec
WorkingDirectory=/opt/kit/nginx
Environment="HOME=/srv/100%% site/run"
Environment="GATE='python' \"-m\" 'a\\b'"
ExecStartPre="/usr/bin/python3" "-m" "gate" "init"
ExecStart="/usr/bin/python3" "-I" "confine.py" "/srv/100%% site" "--" "supervisord" "-c" "$$HOME"
ExecStop="/usr/bin/env" "--chdir=/opt/kit" "python3"
TimeoutStopSec=65
KillMode=mixed
Restart=always
RestartSec=5
MemoryMax=3000000000
TasksMax=3072
CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_SYS_RESOURCE CAP_DAC_OVERRIDE CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths="/srv/100%% site/run"
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=mnt
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""  # noqa: E501 - lists of systemd's have no other form


def test_the_unit_renders_as_this_text() -> None:
    assert unit(SERVICE) == TEXT


@pytest.mark.parametrize(
    ("changes", "line", "instead"),
    [
        (
            {"systemd": 254},
            "RestartSec=5\n",
            "RestartSec=1\nRestartSteps=6\nRestartMaxDelaySec=60\n",
        ),
        ({"gpus": True}, "PrivateDevices=yes\n", "PrivateDevices=no\n"),
        ({"mounts": [Path("/")]}, "Wants=srv-models.mount srv.mount\n", "Wants=\n"),
    ],
    ids=["growing pauses", "a GPU is a device", "one file system"],
)
def test_the_unit_follows_the_machine(changes: dict[str, object], line: str, instead: str) -> None:
    found = unit(replace(SERVICE, **changes))  # type: ignore[arg-type]
    assert found.replace("After=network.target\n", "After=network.target srv-models.mount srv.mount\n") == TEXT.replace(
        line, instead
    )


COMPOSE = """# Rendered by scripts/render; changes here are lost at the next `make up`. Put yours into a drop-in.
[Unit]
Description=Wanwu, image classification, containers of /srv/site/run
Wants=docker.service srv-models.mount
After=docker.service srv-models.mount
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
Environment="HOME=/root"
ExecStart="/usr/bin/docker" "compose" "up"
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
"""


def test_the_unit_of_containers_renders_as_this_text() -> None:
    command, home = ["/usr/bin/docker", "compose", "up"], {"HOME": "/root"}
    found = compose_unit(Path("/srv/site/run"), command, home, ["srv-models.mount"], 252)
    assert found == COMPOSE
    assert compose_unit(Path("/srv/site/run"), command, home, [], 252) == COMPOSE.replace(" srv-models.mount", "")


def test_what_lies_in_tmp_is_not_hidden() -> None:
    assert "PrivateTmp=no\n" in unit(replace(SERVICE, needed=[Path("/tmp/kit")]))


def test_volumes_are_named_as_systemd_names_them() -> None:
    # As `systemd-escape --path` of systemd 252 prints them.
    assert escaped(Path("/srv/my models/.ä-b")) == r"srv-my\x20models-.\xc3\xa4\x2db"
    assert escaped(Path("/.hidden/a_b:c.d")) == r"\x2ehidden-a_b:c.d"
    assert mount_units([Path("/srv/a/b")], [Path("/"), Path("/srv/a/b"), Path("/srv/c")]) == ["srv-a-b.mount"]
