"""Machines by what they said: one folder a machine, one file a text. A file that is missing said nothing."""

from pathlib import Path

from scripts.cluster.hardware import Hardware, Texts, describe
from worker.contract.cpu_list import parse_cpu_list

FOLDER = Path(__file__).parent
MACHINES = sorted(folder.parent.name for folder in FOLDER.glob("*/lscpu.txt"))


def texts(machine: str) -> Texts:
    def said(name: str) -> str:
        path = FOLDER / machine / f"{name}.txt"
        return path.read_text() if path.exists() else ""

    pci = [line.split() for line in said("pci").splitlines()]
    return Texts(
        lscpu=said("lscpu"),
        affinity=frozenset(parse_cpu_list(said("affinity"))),
        meminfo=said("meminfo"),
        cpuset=said("cpuset"),
        memory_limits=tuple(said("memory-limits").splitlines()),
        smi_list=said("nvidia-smi-L"),
        smi_query=said("nvidia-smi-query"),
        pci={address: (node, cpus) for address, node, cpus in pci},
    )


def recorded(machine: str) -> Hardware:
    return describe(texts(machine))
