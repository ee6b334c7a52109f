"""Name this machine's kind, which covers all that decides which engine is fastest on it.

Standard library only: scripts on a bare server use it to choose the environment or container image for the engine.
"""

import platform
import re
from pathlib import Path

from worker.contract import nvidia

CPUINFO = Path("/proc/cpuinfo")
# CPU features by which engines select their compute kernels, in Linux's spelling, of x86 and Arm.
FEATURES = (
    "amx_bf16", "amx_fp16", "amx_int8", "avx2", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512f", "avx_vnni",
    "asimddp", "asimdhp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip
FLAGS = re.compile(r"^(?:flags|Features)\s*:(.*)$", re.MULTILINE)
UNKNOWN_GPU = "unknown GPU"


def machine_kind(gpu: str = "") -> str:
    """Return the kind of the GPU with this UUID, or of this machine's CPUs if `gpu` is "".

    Measurements are valid for every machine of the same kind.
    """
    return gpu_kind(nvidia.smi("-L"), gpu) if gpu else cpu_kind(platform.machine(), CPUINFO.read_text(encoding="utf-8"))


def cpu_kind(architecture: str, cpuinfo: str) -> str:
    """Return the architecture and the FEATURES of the first CPU in `cpuinfo`, such as "x86_64 avx2 avx_vnni"."""
    match = FLAGS.search(cpuinfo)
    flags = set(match[1].split()) if match else set()
    return " ".join([architecture, *(feature for feature in FEATURES if feature in flags)])


def gpu_kind(smi_list: str, uuid: str) -> str:
    """Return the name of the GPU or MIG device `uuid` in `nvidia-smi -L`'s output; UNKNOWN_GPU if it is not listed."""
    return next((gpu.name for gpu in nvidia.parse_list(smi_list)[0] if gpu.uuid == uuid), UNKNOWN_GPU)
