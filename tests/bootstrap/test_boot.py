"""`make up` of the local runtime on a server with systemd: what a boot, a late volume and a crash make of it."""

import json
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.host.environments import SERVE
from tests.bootstrap import systemd
from tests.bootstrap.conftest import PHOTOS, Site
from tests.bootstrap.hosts import Host
from tests.wait import TIMEOUT_S, until

RUN, MODELS, VOLUME = "/srv/site/run", "/srv/models", "/srv/volume"
CLUSTER = f"""
port = 80
[limits]
drain_s = 0
[[models]]
name = "photos"
folder = "{MODELS}/photos"
"""
# The kit as it lies here, with its Python: below /root, where only the service sees them.
SHOWN = sorted({ROOT, Path(os.path.realpath(SERVE.folder)), Path(sys.base_prefix)} - {Path("/usr")})
PYTHON = Path(sys.base_prefix, "bin/python3")
SHOW = "".join(f'mkdir -p "$root{path}"; mount --bind -o ro "{path}" "$root{path}"\n' for path in SHOWN)


ANSWER = f"""
import time, urllib.request
until = time.monotonic() + {TIMEOUT_S}
while True:
    try:
        image = open("{MODELS}/photos/golden/cat.jpg", "rb").read()
        print(urllib.request.urlopen("http://127.0.0.1/predict", image).read().decode())
        break
    except OSError:
        if time.monotonic() > until:
            raise
        time.sleep(0.5)
"""


def make(host: Host, *arguments: str) -> str:
    variables = ("CLUSTER=/srv/site/cluster.toml", f"RUN_DIR={RUN}", "RUNTIME=local", f"PYTHON={PYTHON}")
    done = host.run("make", "--no-print-directory", f"--directory={ROOT}", *arguments, *variables)
    assert done.returncode == 0, done.stdout + done.stderr + logs(host)
    return done.stdout


def logs(host: Host) -> str:
    return host.run("sh", "-c", f"tail -n 30 {RUN}/logs/*.log; journalctl --no-pager -n 50").stdout


def answer(host: Host) -> dict[str, object]:
    """What the service says to a photograph, once it answers: a program that asks again costs less than many."""
    found: dict[str, object] = json.loads(host.says("python3", "-c", ANSWER))
    return found


def asked(host: Host, path: str) -> str:
    """What the gateway says there; nothing while it does not answer with 200."""
    program = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1{path}').read().decode())"
    return host.run("python3", "-c", program).stdout


def limit(host: Host, service: str) -> int:
    """The bytes of memory that the kernel gives to the service."""
    files = ("memory/system.slice/$0/memory.limit_in_bytes", "system.slice/$0/memory.max")
    return int(host.says("sh", "-c", f"cd /sys/fs/cgroup; cat {files[0]} 2>/dev/null || cat {files[1]}", service))


def shown(host: Host, unit: str, name: str) -> str:
    return host.says("systemctl", "show", "--value", f"--property={name}", unit)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces")
def test_a_service_starts_at_boot_waits_for_its_volume_and_comes_back_after_a_crash(site: Site) -> None:
    media = site.folder / "media"
    media.mkdir()
    first = replace(systemd.SYSTEMD, prepare=systemd.PREPARE + SHOW)
    host = site.host_with_systemd("eta", media, first)
    (host.root / "srv/site").mkdir()
    (host.root / "srv/site/cluster.toml").write_text(CLUSTER)
    host.says("sh", "-c", f"mkdir -p {MODELS} {VOLUME} && cp -r {PHOTOS} {VOLUME}/ && mount --bind {VOLUME} {MODELS}")

    printed = make(host, "up")
    unit = re.search(r"^starts with this machine: (wanwu-[0-9a-f]{8}\.service)$", printed, re.MULTILINE)
    assert unit, printed
    service = unit[1]
    pid = shown(host, service, "MainPID")
    assert "-- already running" in make(host, "up")
    assert shown(host, service, "MainPID") == pid
    assert limit(host, service) == int(shown(host, service, "MemoryMax")) // 4096 * 4096
    inside = ["nsenter", f"--target={pid}", "--mount", "touch"]
    assert host.run(*inside, f"{RUN}/logs/own").returncode == 0
    assert "Read-only file system" in host.run(*inside, "/srv/site/other").stderr

    # Power is cut, and the volume is not there at once.
    host.cut_power()
    host = site.boot(host, media)
    until("the gateway says what is missing", lambda: "no such model folder" in asked(host, "/status"))
    host.says("mount", "--bind", VOLUME, MODELS)
    answer(host)

    # supervisord is killed: everything else ends, too, and all of it comes back.
    pid = shown(host, service, "MainPID")
    host.says("systemctl", "kill", "--kill-whom=main", "--signal=KILL", service)
    until("another one runs", lambda: shown(host, service, "MainPID") not in (pid, "0"))
    answer(host)

    (host.root / "etc/fstab").write_text(f"{VOLUME} {MODELS} none bind 0 0\n")
    host.shut_down()
    started = time.monotonic()
    host = site.boot(host, media)
    up = time.monotonic()
    answer(host)
    ended = time.monotonic()
    print(
        f"power-on to the word that systemd is up: {up - started:.1f} s, to the first answer: {ended - started:.1f} s"
    )
    print(host.says("systemd-analyze", "critical-chain", service))
    assert "srv-models.mount" in shown(host, service, "After").split()

    make(host, "down")
    assert host.run("systemctl", "cat", service).returncode != 0
    # A disk that is full for a while: answers go on, and it is ready again once there is room.
    host.says("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", RUN)
    assert "a reboot ends the service, `make up` starts it again: BOOT=0\n" in make(host, "up", "BOOT=0")
    assert host.run("sh", "-c", f"cat /dev/zero >{RUN}/rest").returncode != 0
    until("the gate's last report is too old", lambda: not asked(host, "/readyz"))
    assert answer(host)["model"] == "photos"
    host.says("rm", f"{RUN}/rest")
    until("it is ready again", lambda: asked(host, "/readyz"))
    make(host, "down")
