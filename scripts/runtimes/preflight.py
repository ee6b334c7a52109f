"""Requirements to start a service: one line for each that is not met."""

import errno
import socket
from collections.abc import Iterable, Mapping

from scripts.cluster.hardware import Hardware
from scripts.cluster.models import ModelInfo
from scripts.cluster.plan import Plan

MEGABYTE = 1_000_000
MEMORY_LIMIT_FACTOR, IMAGE_MEMORY = 2, 2_000 * MEGABYTE


def port_faults(ports: Iterable[int]) -> list[str]:
    """Return a line for each port that cannot be bound."""
    faults = []
    for port in ports:
        with socket.socket() as test_socket:
            test_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                test_socket.bind(("0.0.0.0", port))  # noqa: S104 - what Nginx will bind
            except OSError as error:
                if error.errno == errno.EACCES:
                    faults.append(f"port {port}: only root may listen below 1024: set a higher port in cluster.toml")
                else:
                    remedy = "stop the process that listens there, or set another port"
                    faults.append(f"port {port}: already in use: {remedy}")
    return faults


def memory_limit(model: ModelInfo) -> int:
    """Return a worker container's memory limit in bytes: room for the largest images in flight, not for a leak."""
    return MEMORY_LIMIT_FACTOR * _resident(model) + IMAGE_MEMORY


def memory_faults(plan: Plan, hardware: Hardware, models: Mapping[str, ModelInfo]) -> list[str]:
    """Return a line if the workers of `plan` need more memory than the machine has; else an empty list."""
    served = [models[worker.model] for worker in plan.workers]
    needed = sum(map(_resident, served))
    if needed <= hardware.memory_bytes:
        return []
    count = len(plan.workers)
    return [
        f"memory: found {hardware.memory_bytes // MEGABYTE} MB, needed about {needed // MEGABYTE} MB for {count} "
        f"worker{'' if count == 1 else 's'}: set fewer workers in cluster.toml"
    ]


def _resident(model: ModelInfo) -> int:
    """Return the bytes that an idle worker of `model` uses; weights count twice: as file pages and in the engine."""
    return model.needs.memory_mb * MEGABYTE + 2 * model.bytes
