"""What kind of machine this is: a name for all that decides which engine is fastest here.

Standard library only: the control side asks too, to choose the environment or image that the engine needs.
"""

import platform
import re
from pathlib import Path

from worker.contract import nvidia

CPUINFO = Path("/proc/cpuinfo")
# What engines choose their kernels by: as the kernel spells it, of x86 and of Arm.
FEATURES = (
    "amx_bf16", "amx_fp16", "amx_int8", "avx2", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx512f", "avx_vnni",
    "asimddp", "asimdhp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip
FLAGS = re.compile(r"^(?:flags|Features)\s*:(.*)$", re.MULTILINE)
UNKNOWN_GPU = "unknown GPU"


def kind(gpu: str = "") -> str:
    """The kind of the GPU with this UUID, or of this machine's CPUs: equal where one measurement holds for both."""
    return gpu_kind(nvidia.smi("-L"), gpu) if gpu else cpu_kind(platform.machine(), CPUINFO.read_text(encoding="utf-8"))


def cpu_kind(architecture: str, cpuinfo: str) -> str:
    """The architecture and those of FEATURES that the first CPU of /proc/cpuinfo has, as in "x86_64 avx2 avx_vnni"."""
    found = FLAGS.search(cpuinfo)
    flags = set(found[1].split()) if found else set()
    return " ".join([architecture, *(feature for feature in FEATURES if feature in flags)])


def gpu_kind(smi_list: str, uuid: str) -> str:
    """The name that `nvidia-smi -L` gives the GPU, or the MIG device, with this UUID; UNKNOWN_GPU for none."""
    return next((gpu.name for gpu in nvidia.parse_list(smi_list)[0] if gpu.uuid == uuid), UNKNOWN_GPU)
