import platform
import re
import socket
from pathlib import Path

import pytest

from scripts.doctor import examine
from scripts.environments import SERVE
from scripts.hardware import format_cpu_list, read_hardware
from scripts.packages import on_path
from scripts.refusal import Refusal
from scripts.rundir import run_dir
from tests.service import free_ports

Capture = pytest.CaptureFixture[str]
HARDWARE = read_hardware()
TERABYTES_4 = 1 << 42

pytestmark = pytest.mark.skipif(not on_path("nginx"), reason="needs Nginx, which `make test` installs")


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    """A cluster of one worker of a model folder that can be read, on free ports."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.toml").write_text(
        'loader = "openvino"\n[files]\n[[golden]]\nimage = "a.png"\n'
        '[engine]\nname = "openvino"\nprecision = "f32"\nbatch_sizes = [1]\n'
    )
    (folder / "model.bin").write_bytes(b"")
    path = tmp_path / "cluster.toml"
    path.write_text(
        f'port = {free_ports(2)}\n[[models]]\nname = "m"\nfolder = "{folder}"\n[[servers]]\nworkers = 1\n'
        "cores_per_worker = 1\n"
    )
    return path


def port_of(cluster: Path) -> int:
    return int(re.findall(r"^port = (\d+)", cluster.read_text())[0])


def refused(cluster: Path, capsys: Capture) -> tuple[list[str], list[str]]:
    """What doctor refuses with, and the lines it printed that say no."""
    with pytest.raises(Refusal) as refusal:
        examine(cluster, run_dir(cluster.parent / "run"))
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= 6
    return list(refusal.value.lines), [line for line in printed if not line.startswith("ok  ")]


def test_a_machine_that_can_serve_is_told_so_line_by_line_and_nothing_is_changed(
    cluster: Path, capsys: Capture
) -> None:
    before = sorted(cluster.parent.rglob("*"))
    examine(cluster, run_dir(cluster.parent / "run"))
    port, cpus = port_of(cluster), HARDWARE.cpus
    usable = format_cpu_list(cpu.number for cpu in cpus)
    packages = "installed" if SERVE.python.exists() else "not installed yet; `make up` installs them"
    expected = [
        rf"ok  python: {re.escape(platform.python_version())}",
        r"ok  nginx: nginx version: nginx/[\d.]+.*",
        rf"ok  hardware: CPUs {usable}, {HARDWARE.memory_bytes // 1_000_000} MB of memory, .+",
        r"ok  plan: m-0 on CPU [\d,-]+",
        rf"ok  ports and memory: enough memory, ports {port} to {port + 1} free",
        rf"ok  packages: {packages}",
        r"ok  docker: `make up` takes the (local|compose) runtime.*",
        r"this machine can serve",
    ]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(expected)
    for line, pattern in zip(printed, expected, strict=True):
        assert re.fullmatch(pattern, line)
    assert sorted(cluster.parent.rglob("*")) == before


def test_a_port_in_use_is_named_and_the_other_checks_go_on(cluster: Path, capsys: Capture) -> None:
    port = port_of(cluster)
    with socket.create_server(("127.0.0.1", port)):
        assert refused(cluster, capsys) == (
            ["to mend before `make up`: ports and memory"],
            [f"no  ports and memory: port {port}: already in use: end what listens there, or set another port"],
        )


def test_too_little_memory_is_named(cluster: Path, capsys: Capture) -> None:
    with (cluster.parent / "model/model.bin").open("ab") as weights:
        weights.truncate(TERABYTES_4)  # sparse: it takes no room
    lines, said = refused(cluster, capsys)
    assert lines == ["to mend before `make up`: ports and memory"]
    assert said == [
        "no  ports and memory: memory: about 8796243 MB needed, workers: 1, "
        f"found {HARDWARE.memory_bytes // 1_000_000} MB: set fewer workers in cluster.toml"
    ]


def test_what_cannot_be_planned_is_named_with_all_its_lines(cluster: Path, capsys: Capture) -> None:
    text = cluster.read_text()
    cluster.write_text(text.replace("workers = 1", 'workers = 0\ngpu = "auto"', 1))
    lines, said = refused(cluster, capsys)
    assert lines == ["to mend before `make up`: plan"]
    assert said == [
        f'no  plan: {cluster}: servers/0/gpu: unknown key, did you mean "gpus"?',
        f'no  plan: {cluster}: servers/0/workers: found 0, needed "auto" or a whole number from 1',
    ]
