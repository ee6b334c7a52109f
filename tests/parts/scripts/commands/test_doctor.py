import contextlib
import os
import platform
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.base.programs import on_path
from scripts.cluster.config import ROOT, Cluster
from scripts.cluster.hardware import read_hardware
from scripts.commands import NoOptions, ServiceOptions, doctor
from scripts.host import environments
from scripts.host.environments import SERVE
from scripts.runtimes import side_by_side
from scripts.runtimes.deployment import Deployment, plan_here
from scripts.runtimes.run_directory import RunDir
from tests.service import free_ports
from tests.unprivileged_user import UNPRIVILEGED, as_unprivileged
from worker.contract.cpu_list import format_cpu_list

Capture = pytest.CaptureFixture[str]
HARDWARE = read_hardware()
TERABYTES_4 = 1 << 42
# A mount namespace in which the system's Python has no ensurepip, as on Debian without python3-venv.
WITHOUT_ENSUREPIP = 'mount -t tmpfs tmpfs "$(/usr/bin/python3 -c "import ensurepip as e; print(e.__path__[0])")"'
AS_NOBODY = ("setpriv", f"--reuid={UNPRIVILEGED.pw_uid}", f"--regid={UNPRIVILEGED.pw_gid}", "--clear-groups")

pytestmark = pytest.mark.skipif(not on_path("nginx"), reason="needs Nginx, which `make test` installs")


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that every account can read, and only this one can write."""
    with tempfile.TemporaryDirectory(prefix="wanwu-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def cluster(readable: Path) -> Path:
    """A cluster of one worker of a model folder that can be read, on free ports."""
    folder = readable / "model"
    folder.mkdir()
    (folder / "model.toml").write_text(
        'loader = "openvino"\n[files]\n[[golden]]\nimage = "a.png"\n'
        '[engine]\nname = "openvino"\nprecision = "f32"\nbatch_sizes = [1]\n'
    )
    (folder / "model.bin").write_bytes(b"")
    path = readable / "cluster.toml"
    path.write_text(
        f'port = {free_ports(2)}\n[[models]]\nname = "m"\nfolder = "{folder}"\n[[servers]]\nworkers = 1\n'
        "cores_per_worker = 1\n"
    )
    return path


def port_of(cluster: Path) -> int:
    return int(re.findall(r"^port = (\d+)", cluster.read_text())[0])


def diagnose(cluster: Path, runtime: str = "local") -> None:
    doctor.run(ServiceOptions(cluster, cluster.parent / "run", runtime), NoOptions())


def doctor_fails(cluster: Path, capsys: Capture) -> tuple[list[str], list[str]]:
    """Return the lines of the error, and the printed lines that report a fault."""
    with pytest.raises(CommandError) as error:
        diagnose(cluster)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) >= 6
    return list(error.value.lines), [line for line in printed if not line.startswith("ok  ")]


def test_every_check_of_a_machine_that_can_serve_is_printed_and_nothing_is_changed(
    cluster: Path, capsys: Capture
) -> None:
    before = sorted(cluster.parent.rglob("*"))
    diagnose(cluster)
    port, cpus = port_of(cluster), HARDWARE.cpus
    usable = format_cpu_list(cpu.number for cpu in cpus)
    packages = "installed" if SERVE.python.exists() else "not installed yet; `make up` installs them"
    expected = [
        rf"ok  python: {re.escape(platform.python_version())}",
        r"ok  runtime: `make up` uses the local runtime.*",
        rf"ok  hardware: CPUs {usable}, {HARDWARE.memory_bytes // 1_000_000} MB of memory, .+",
        r"ok  plan: m-0 on CPU [\d,-]+",
        rf"ok  ports and memory: enough memory, ports {port} to {port + 1} free",
        rf"ok  folders: {cluster.parent}/run( and {environments.VENVS})? can be written",
        r"ok  nginx: nginx version: nginx/[\d.]+.*",
        rf"ok  packages: {packages}",
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
        remedy = "stop the process that listens there, or set another port"
        assert doctor_fails(cluster, capsys) == (
            ["to fix before `make up`: ports and memory"],
            [f"no  ports and memory: port {port}: already in use: {remedy}"],
        )


def test_too_little_memory_is_named(cluster: Path, capsys: Capture) -> None:
    with (cluster.parent / "model/model.bin").open("ab") as weights:
        weights.truncate(TERABYTES_4)  # sparse: it takes no room
    lines, printed = doctor_fails(cluster, capsys)
    assert lines == ["to fix before `make up`: ports and memory"]
    assert printed == [
        f"no  ports and memory: memory: found {HARDWARE.memory_bytes // 1_000_000} MB, "
        "needed about 8796879 MB for 1 worker: set fewer workers in cluster.toml"
    ]


def test_a_cluster_that_cannot_be_planned_is_reported_with_all_its_lines(cluster: Path, capsys: Capture) -> None:
    text = cluster.read_text()
    cluster.write_text(text.replace("workers = 1", 'workers = 0\ngpu = "auto"', 1))
    lines, printed = doctor_fails(cluster, capsys)
    assert lines == ["to fix before `make up`: plan"]
    assert printed == [
        f'no  plan: {cluster}: servers/0/gpu: unknown key, did you mean "gpus"?',
        f'no  plan: {cluster}: servers/0/workers: found 0, needed "auto" or a whole number from 1',
    ]


def test_compose_needs_an_engine_and_neither_nginx_nor_packages(
    cluster: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{cluster.parent}/no.sock")
    with pytest.raises(CommandError) as error:
        diagnose(cluster, "compose")
    assert error.value.lines == ("to fix before `make up`: runtime",)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["ok  python", "no  runtime", "ok  folders"]
    assert lines[1].startswith("no  runtime: found no ")


@pytest.mark.parametrize("text", ["", "workers = 999\n"])
def test_the_cluster_is_planned_once_whether_or_not_that_succeeds(
    cluster: Path, text: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.write_text(cluster.read_text().replace("workers = 1\n", text, 1))
    planned: list[Cluster] = []

    def counting_plan(cluster: Cluster, run: RunDir) -> Deployment:
        planned.append(cluster)
        return plan_here(cluster, run)

    monkeypatch.setattr(side_by_side, "plan_here", counting_plan)
    with contextlib.suppress(CommandError):
        diagnose(cluster)
    assert len(planned) == 1
    assert ("no  plan: " in capsys.readouterr().out) == bool(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account for a moment")
def test_a_folder_that_cannot_be_written_is_named(cluster: Path, capsys: Capture) -> None:
    with as_unprivileged(), pytest.raises(CommandError, match="folders"):
        diagnose(cluster)
    folder = cluster.parent
    assert (
        f"no  folders: {folder}: Permission denied: needed a folder that can be written, for {folder}/run: "
        "set another with RUN_DIR="
    ) in capsys.readouterr().out.splitlines()


@pytest.fixture
def bare_kit(readable: Path) -> Path:
    """A copy of the kit that belongs to nobody, without environments."""
    root = readable / "kit"
    for folder in ("scripts", "worker", "nginx", "compose"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    os.chown(root, UNPRIVILEGED.pw_uid, UNPRIVILEGED.pw_gid)
    return root


needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/bin/python3").exists() or shutil.which("unshare") is None,
    reason="only root can hide a folder of the system's Python",
)


def without_ensurepip(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    script = f'{WITHOUT_ENSUREPIP} && exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "-", *command], cwd=root, capture_output=True, text=True
    )


@needs_namespaces
def test_python_without_ensurepip_is_named_with_the_package_of_its_own_version(bare_kit: Path) -> None:
    version = subprocess.check_output(
        ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True
    ).strip()
    remedy = f"found no ensurepip: run as root: apt-get install --no-install-recommends python{version}-venv"
    local = ("/usr/bin/python3", "-B", "-m", "scripts")
    result = without_ensurepip(bare_kit, *AS_NOBODY, *local, "doctor", "--runtime=local")
    assert result.returncode == 1
    assert f"no  packages: {remedy}" in result.stdout.splitlines(), result.stdout + result.stderr
    assert result.stderr == "!! to fix before `make up`: packages\n"

    failed = without_ensurepip(bare_kit, *AS_NOBODY, *local, "up", "--runtime=local")
    assert (failed.returncode, failed.stderr) == (1, f"!! {remedy}\n")

    root = without_ensurepip(bare_kit, *local, "doctor", "--runtime=local")
    assert root.returncode == 0, root.stdout
    expected = f"ok  packages: not installed yet; `make up` installs them and python{version}-venv"
    assert expected in root.stdout.splitlines()
