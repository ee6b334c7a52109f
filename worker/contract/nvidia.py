"""Run nvidia-smi and parse its list of this machine's GPUs, and what it says of their memory."""

import re
import shutil
import subprocess
from dataclasses import dataclass

SMI_TIMEOUT_S = 30  # the first call initialises every GPU, some seconds each; a dead driver never answers
GPU_LINE = re.compile(r"GPU \d+: (?P<name>.+) \(UUID: (?P<uuid>\S+)\)\s*")
MIG_LINE = re.compile(r"\s+MIG (?P<name>\S+)\s+Device\s+\d+: \(UUID: (?P<uuid>\S+)\)\s*")

MEMORY_QUERY = ("--query-gpu=uuid,memory.used,memory.free", "--format=csv,noheader,nounits")
MEMORY_LINE = re.compile(r"^(GPU-\S+), (\d+), (\d+)$", re.MULTILINE)
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class ListedGpu:
    """A GPU, or a MIG device of the GPU whose UUID is `parent`."""

    uuid: str
    name: str
    parent: str = ""


def parse_list(text: str) -> tuple[list[ListedGpu], list[str]]:
    """Return the devices that `nvidia-smi -L` lists, each GPU before its MIG devices, and the unrecognised lines."""
    devices: list[ListedGpu] = []
    unrecognised = []
    parent: ListedGpu | None = None
    for line in text.splitlines():
        if match := GPU_LINE.fullmatch(line):
            parent = ListedGpu(match["uuid"], match["name"])
            devices.append(parent)
        elif parent and (match := MIG_LINE.fullmatch(line)):
            devices.append(ListedGpu(match["uuid"], f"{parent.name} MIG {match['name']}", parent.uuid))
        elif line.strip():
            unrecognised.append(line.strip())
    return devices, unrecognised


@dataclass(frozen=True)
class GpuMemory:
    """What is used and what is free of a GPU's memory, in bytes."""

    used: int
    free: int


def parse_memory(text: str) -> dict[str, GpuMemory]:
    """Return the memory by UUID in the answer to MEMORY_QUERY, which has none of MIG devices and of some GPUs."""
    rows = MEMORY_LINE.findall(text)
    return {uuid: GpuMemory(int(used) * MEBIBYTE, int(free) * MEBIBYTE) for uuid, used, free in rows}


def smi(*arguments: str) -> str:
    """Return the output of `nvidia-smi ARGUMENTS`, errors included; "" if the program is not installed."""
    if shutil.which("nvidia-smi") is None:
        return ""
    command = ["nvidia-smi", *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SMI_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}\n"
    output = result.stdout + result.stderr
    return output if output.strip() or not result.returncode else f"failed with status {result.returncode}\n"
