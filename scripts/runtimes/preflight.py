"""Requirements to start a service: one line for each that is not met."""

import errno
import socket
from collections.abc import Iterable, Mapping, Sequence

from scripts.cluster.hardware import Hardware
from scripts.cluster.models import ModelInfo
from scripts.cluster.plan import Plan, Slot, Worker
from worker.contract.limits import (
    DECODING_PROCESS_MB,
    FREE_BODY_BYTES,
    MAX_DECODING_PROCESSES,
    bodies_bytes,
    decoding_processes,
)
from worker.contract.nvidia import GpuMemory

MEGABYTE = 1_000_000
MEMORY_LIMIT_FACTOR = 2  # of what an idle worker uses: room for the engine's buffers, not for a leak
GPU_CONTEXT_MB = 1000  # what a worker holds of a GPU beside its model's weights, at least
LARGE_BODY_COPIES = 3  # as received, its JSON or form, and its images


# What Nginx will bind.
ANY_IPV4, ANY_IPV6 = (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")  # noqa: S104


def has_ipv6() -> bool:
    """Return whether this machine has IPv6."""
    return _bind_error(ANY_IPV6, 0) is None


def port_faults(ports: Iterable[int]) -> list[str]:
    """Return a line for each port that cannot be bound."""
    families, faults = [ANY_IPV4, *([ANY_IPV6] if has_ipv6() else [])], []
    for port in ports:
        errors = [error for family in families if (error := _bind_error(family, port)) is not None]
        if errno.EACCES in errors:
            faults.append(f"port {port}: only root may listen below 1024: set a higher port in cluster.toml")
        elif errors:
            faults.append(f"port {port}: already in use: stop the process that listens there, or set another port")
    return faults


def listen_faults(addresses: Iterable[str], table: str = "gateway") -> list[str]:
    """Return a line for each of `addresses`, which `listen` of the cluster file's `table` has, that is not one here."""
    families = [((socket.AF_INET6 if ":" in address else socket.AF_INET), address) for address in addresses]
    return [
        f"{table}/listen: found {address[1]}, needed addresses of this machine: `ip address` lists them"
        for address in families
        if _bind_error(address, 0) is not None
    ]


def _bind_error(any_address: tuple[int, str], port: int) -> int | None:
    """Return the error number of an attempt to bind `port`, None if it succeeds."""
    family, address = any_address
    try:
        with socket.socket(family) as test_socket:
            test_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                test_socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            test_socket.bind((address, port))
    except OSError as error:
        return error.errno or errno.EADDRINUSE
    return None


def memory_limit(model: ModelInfo, limits: Mapping[str, int]) -> int:
    """Return the memory limit of a worker's container in bytes.

    It follows from the worker's own bounds on images that are being decoded and bodies that are being read.
    """
    return MEMORY_LIMIT_FACTOR * _resident(model) + _in_flight(limits) + _decoding(MAX_DECODING_PROCESSES)


def memory_faults(
    plan: Plan, hardware: Hardware, models: Mapping[str, ModelInfo], limits: Mapping[str, int]
) -> list[str]:
    """Return a line if the busy workers of `plan` need more memory than the machine has; else an empty list."""
    needed = sum(worker_bytes(models[worker.model], worker.slot, limits) for worker in plan.workers)
    if needed <= hardware.memory_bytes:
        return []
    count = len(plan.workers)
    return [
        f"memory: found {hardware.memory_bytes // MEGABYTE} MB, needed about {needed // MEGABYTE} MB for {count} "
        f"worker{'' if count == 1 else 's'}: set fewer workers in cluster.toml"
    ]


def room_for(
    workers: Sequence[Worker],
    models: Mapping[str, ModelInfo],
    limits: Mapping[str, int],
    free: int,
    gpus: Mapping[str, GpuMemory],
) -> int:
    """Return how many of `workers` can start beside those that run: `free` are the machine's bytes, `gpus` by UUID.

    On a GPU without room, or whose memory is not known, the old one has to stop first: then none can.
    """
    for worker in workers:
        if worker.slot.gpu and not _fits_on_gpu(models[worker.model], gpus.get(worker.slot.gpu)):
            return 0
    return free // max((worker_bytes(models[worker.model], worker.slot, limits) for worker in workers), default=1)


def _fits_on_gpu(model: ModelInfo, memory: GpuMemory | None) -> bool:
    """Return whether a GPU has as much free as its worker and all else on it hold now, or as the model needs at least.

    How much a network's buffers will take is known only once it has answered its largest batch.
    """
    return memory is not None and memory.free >= max(memory.used, GPU_CONTEXT_MB * MEGABYTE + 2 * model.bytes)


def worker_bytes(model: ModelInfo, slot: Slot, limits: Mapping[str, int]) -> int:
    """Return the bytes that a busy worker of `model` needs on `slot`."""
    return _resident(model) + _in_flight(limits) + _decoding(decoding_processes(len(slot.cpus)))


def _in_flight(limits: Mapping[str, int]) -> int:
    """Return the bytes that requests in flight may hold in one worker."""
    bodies = LARGE_BODY_COPIES * bodies_bytes(limits["max_body_mb"]) + limits["queue"] * FREE_BODY_BYTES
    return limits["decode_mb"] * MEGABYTE + bodies


def _decoding(processes: int) -> int:
    """Return the bytes that a worker's decoding processes hold, beside the images that they decode."""
    return processes * DECODING_PROCESS_MB * MEGABYTE


def _resident(model: ModelInfo) -> int:
    """Return the bytes that an idle worker of `model` uses; weights count twice: as file pages and in the engine."""
    return model.needs.memory_mb * MEGABYTE + 2 * model.bytes
