"""Pin this process to its slot, before an engine is imported: engines read the CPU mask and thread counts only once."""

import os

from worker.contract.machine import UNKNOWN_GPU, machine_kind
from worker.contract.settings import Settings
from worker.contract.swarm_slot import SlotError

# OpenMP, OpenBLAS and MKL read these at import; without them each starts a thread for every core of the host.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def pin(settings: Settings) -> None:
    """Set the CPU mask, the thread counts and the visible GPU of this process and of the processes it will start.

    Raise SlotError if this machine lacks the slot's CPUs or GPU.
    """
    allowed = os.sched_getaffinity(0)
    if not settings.cpus <= allowed:
        raise SlotError(
            f"slot {settings.slot} is CPUs {_list(settings.cpus)}, but this process may use only {_list(allowed)}: "
            "run `make up` again so that the plan follows the hardware"
        )
    if settings.gpu and machine_kind(settings.gpu) == UNKNOWN_GPU:
        raise SlotError(
            f"slot {settings.slot} is GPU {settings.gpu}, but nvidia-smi lists none with this UUID here: "
            "run `make up` again so that the plan follows the hardware"
        )
    os.sched_setaffinity(0, settings.cpus)
    os.environ |= {name: str(len(settings.cpus)) for name in THREAD_VARIABLES}
    os.environ["CUDA_VISIBLE_DEVICES"] = settings.gpu


def _list(cpus: frozenset[int] | set[int]) -> str:
    return ",".join(map(str, sorted(cpus)))
