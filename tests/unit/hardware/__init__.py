"""Recorded machines: a folder for each, with a file for each command's output; a missing file means no output."""

from pathlib import Path

from scripts.cluster.hardware import Hardware, RawHardwareInfo, describe
from worker.contract.cpu_list import parse_cpu_list

FOLDER = Path(__file__).parent
MACHINES = sorted(folder.parent.name for folder in FOLDER.glob("*/lscpu.txt"))


def raw_info(machine: str) -> RawHardwareInfo:
    def read(name: str) -> str:
        path = FOLDER / machine / f"{name}.txt"
        return path.read_text() if path.exists() else ""

    pci = [line.split() for line in read("pci").splitlines()]
    return RawHardwareInfo(
        lscpu=read("lscpu"),
        affinity=frozenset(parse_cpu_list(read("affinity"))),
        meminfo=read("meminfo"),
        cpuset=read("cpuset"),
        memory_limits=tuple(read("memory-limits").splitlines()),
        cpu_quotas=tuple(read("cpu-quotas").splitlines()),
        smi_list=read("nvidia-smi-L"),
        smi_query=read("nvidia-smi-query"),
        pci={address: (node, cpus) for address, node, cpus in pci},
    )


def recorded(machine: str) -> Hardware:
    return describe(raw_info(machine))
