import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.cluster.config import Cluster, parse_cluster
from scripts.cluster.hardware import Hardware
from scripts.cluster.models import ModelInfo
from scripts.cluster.plan import Plan, plan
from scripts.runtimes.preflight import listen_faults, memory_faults, port_faults, room_for
from tests.service import free_ports
from tests.unit.hardware import FOLDER, recorded
from tests.unprivileged_user import as_unprivileged
from worker.contract.nvidia import MEBIBYTE, GpuMemory, parse_memory

PHOTOS = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
LARGE = {"photos": ModelInfo("openvino", Path("a.jpg"), 100_000_000)}
FIRST_UNPRIVILEGED_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")

# 588 MB in flight: 320, three copies of two 32 MiB bodies, 64 of 1 MiB; and 48 MB for a decoding process
LIMITS = {"decode_mb": 320, "queue": 64, "max_body_mb": 32}


def with_memory(megabytes: int) -> Hardware:
    return replace(recorded("two-cores"), memory_bytes=megabytes * 1_000_000)


def planned(port: int = 8080) -> tuple[Cluster, Plan]:
    cluster = parse_cluster(f"port = {port}\n{PHOTOS}", "c.toml")
    return cluster, plan(cluster, {"this": recorded("two-cores")})


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    """Yield a stack that closes its sockets after the test."""
    with ExitStack() as stack:
        yield stack


def listening(sockets: ExitStack, address: str, port: int = 0) -> int:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = sockets.enter_context(socket.socket(family))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen()
    return int(listener.getsockname()[1])


def test_free_ports_are_no_fault_and_stay_free() -> None:
    first = free_ports(3)
    assert port_faults(range(first, first + 3)) == []
    assert port_faults(range(first, first + 3)) == []


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::"])
def test_a_port_in_use_is_named(address: str, sockets: ExitStack) -> None:
    try:
        port = listening(sockets, address)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        pytest.skip("this machine has no IPv6")
    assert port_faults([port]) == [
        f"port {port}: already in use: stop the process that listens there, or set another port"
    ]


def test_a_port_with_a_connection_in_time_wait_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()  # the side that closes first stays in TIME_WAIT
            assert client.recv(1) == b""
    with socket.socket() as probe, pytest.raises(OSError, match="in use"):
        probe.bind(("127.0.0.1", port))
    assert port_faults([port]) == []


@pytest.mark.skipif(int(FIRST_UNPRIVILEGED_PORT.read_text()) <= 80, reason="everyone may listen on port 80 here")
def test_an_ordinary_account_cannot_use_ports_below_1024() -> None:
    with as_unprivileged():
        assert port_faults([80]) == ["port 80: only root may listen below 1024: set a higher port in cluster.toml"]


def test_a_worker_needs_its_base_memory_twice_its_model_files_and_its_requests_in_flight() -> None:
    _, plans = planned()
    assert memory_faults(plans, with_memory(1_973), LARGE, LIMITS) == []
    assert memory_faults(plans, with_memory(1_972), LARGE, LIMITS) == [
        "memory: found 1972 MB, needed about 1972 MB for 2 workers: set fewer workers in cluster.toml"
    ]


def test_a_torch_worker_needs_more_memory() -> None:
    _, plans = planned()
    models = {"photos": replace(LARGE["photos"], engine="torch")}
    assert memory_faults(plans, with_memory(1_000), models, LIMITS) == [
        "memory: found 1000 MB, needed about 2572 MB for 2 workers: set fewer workers in cluster.toml"
    ]


def test_each_model_counts_only_for_its_own_workers() -> None:
    text = f'{PHOTOS}[[models]]\nname = "tiny"\nfolder = "tiny"\n'
    plans = plan(parse_cluster(text, "c.toml"), {"this": recorded("two-cores")})
    models = LARGE | {"tiny": ModelInfo("openvino", Path("a.jpg"), 1_000_000)}
    assert memory_faults(plans, with_memory(1_775), models, LIMITS) == []
    assert len(memory_faults(plans, with_memory(1_774), models, LIMITS)) == 1


def test_only_addresses_of_this_machine_can_be_listened_on() -> None:
    assert listen_faults(["127.0.0.1", "0.0.0.0"]) == []
    (fault,) = listen_faults(["127.0.0.1", "203.0.113.9"])
    assert fault == "gateway/listen: found 203.0.113.9, needed addresses of this machine: `ip address` lists them"


def smi_memory(machine: str) -> dict[str, GpuMemory]:
    return parse_memory((FOLDER / machine / "nvidia-smi-memory.txt").read_text())


def test_the_memory_of_gpus_is_read_where_they_say_it() -> None:
    first, *_ = smi_memory("eight-gpus").values()
    assert first == GpuMemory(1563 * MEBIBYTE, 79516 * MEBIBYTE)
    assert len(smi_memory("eight-gpus")) == 8
    assert len(smi_memory("mig")) == 1  # the other GPU says [N/A], and no MIG device is listed
    assert parse_memory("NVIDIA-SMI has failed because it could not communicate with the driver.") == {}


def room(machine: str, *numbers: int, megabytes: int = 1_000_000, network: int = 100_000_000) -> int:
    """For how many of the planned workers with these numbers the `machine` has room."""
    workers = plan(parse_cluster(PHOTOS, "c.toml"), {"this": recorded(machine)}).workers
    model = {"photos": ModelInfo("torch", Path("a.jpg"), network)}
    starting = [workers[number] for number in numbers or range(len(workers))]
    return room_for(starting, model, LIMITS, megabytes * 1_000_000, smi_memory(machine))


def test_a_gpu_has_room_for_as_much_again_as_it_holds_and_a_full_one_has_none() -> None:
    assert room("eight-gpus", 0, 1) > 2
    assert room("eight-gpus", 4, 5) == 0  # GPU 5 holds three quarters of its memory
    assert room("eight-gpus", 0, network=42_000_000_000) == 0


def test_where_a_gpu_does_not_say_its_memory_the_old_worker_stops_first() -> None:
    assert [room("mig", number) for number in (0, 1, 2)] == [0, 0, 0]


def test_beside_a_gpu_the_memory_of_the_machine_counts_too() -> None:
    assert room("eight-gpus", 0, megabytes=100) == 0
    assert room_for([], {}, LIMITS, 5, {}) == 5
