"""The hardware that this process may use: CPUs with their cores and NUMA nodes, GPUs, memory.

`read_hardware` collects the texts that `describe` parses; `describe` is pure, so tests can use texts recorded on other
machines. CPUs come from lscpu rather than /sys: it prints one text, lists only online CPUs, and numbers cores uniquely,
while core_id in /sys repeats on each socket.
"""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from scripts.base.errors import CommandError
from scripts.base.programs import remedy
from scripts.cluster.cgroup import cgroup_files, parse_free_memory, parse_memory, parse_quota
from worker.contract import nvidia
from worker.contract.cpu_list import format_cpu_list, parse_cpu_list

UNKNOWN_NODE = -1  # what numa_node in /sys holds if the node is unknown


@dataclass(frozen=True)
class Cpu:
    """One hardware thread; `number` is the kernel's, and CPUs with the same `core` are SMT siblings."""

    number: int
    core: int
    socket: int
    numa_node: int


@dataclass(frozen=True)
class Gpu:
    """One GPU, or one MIG device of a partitioned GPU; `cpus` are the usable CPUs close to it."""

    uuid: str
    name: str
    numa_node: int  # UNKNOWN_NODE if the machine does not report it
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class Hardware:
    cpus: tuple[Cpu, ...]  # those that this process's affinity mask and cgroup cpuset allow
    gpus: tuple[Gpu, ...]
    memory_bytes: int  # of the machine, or the cgroup's limit if that is lower
    forbidden_cpus: tuple[int, ...] = ()  # online, but not allowed to this process
    notes: tuple[str, ...] = ()  # for `make doctor`, such as a driver that does not answer
    cpu_quota: float | None = None  # of the cgroup, in CPUs: how much time all processes together may use

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Hardware":
        """Return the Hardware that `to_json` wrote; raise CommandError if `text` is anything else."""
        try:
            values = json.loads(text)
            values["cpus"] = tuple(Cpu(**cpu) for cpu in values["cpus"])
            values["gpus"] = tuple(Gpu(**{**gpu, "cpus": tuple(gpu["cpus"])}) for gpu in values["gpus"])
            values["forbidden_cpus"] = tuple(values["forbidden_cpus"])
            values["notes"] = tuple(values["notes"])
            return cls(**values)
        except (ValueError, TypeError, KeyError) as error:
            raise CommandError(f"not a hardware description ({error!r}): write it again") from error


@dataclass(frozen=True)
class RawHardwareInfo:
    """The unparsed output of commands and contents of files; empty if the machine has none."""

    lscpu: str  # lscpu -p=CPU,CORE,SOCKET,NODE
    affinity: frozenset[int]
    meminfo: str  # /proc/meminfo
    cpuset: str = ""  # cpuset.cpus.effective (cgroup v2) or cpuset.effective_cpus (v1)
    memory_limits: tuple[str, ...] = ()  # memory.max or memory.limit_in_bytes, of the cgroup and its parents
    cpu_quotas: tuple[str, ...] = ()  # cpu.max, or cpu.cfs_quota_us and cpu.cfs_period_us in one line, likewise
    smi_list: str = ""  # nvidia-smi -L
    smi_query: str = ""  # nvidia-smi --query-gpu=index,uuid,name,pci.bus_id --format=csv,noheader
    pci: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # PCI address -> numa_node, local_cpulist


def describe(raw: RawHardwareInfo) -> Hardware:
    """Return the hardware that `raw` describes; raise CommandError if no CPU is usable."""
    online = parse_lscpu(raw.lscpu)
    usable = raw.affinity
    if raw.cpuset.strip():
        usable &= frozenset(parse_cpu_list(raw.cpuset))
    cpus = tuple(cpu for cpu in online if cpu.number in usable)
    if not cpus:
        listed = format_cpu_list(cpu.number for cpu in online)
        raise CommandError(
            f'found no usable CPU: lscpu lists "{listed}", the affinity mask and the cgroup cpuset leave'
            f' "{format_cpu_list(usable)}": allow this process a CPU that is online'
        )
    gpus, notes = parse_gpus(raw.smi_list, raw.smi_query, raw.pci, {cpu.number for cpu in cpus})
    quota = parse_quota(raw.cpu_quotas)
    if quota is not None and quota < len(cpus):
        notes += (f"the cgroup's quota leaves the time of {quota:g} CPUs",)
    return Hardware(
        cpus,
        gpus,
        parse_memory(raw.meminfo, raw.memory_limits),
        tuple(cpu.number for cpu in online if cpu.number not in usable),
        notes,
        quota,
    )


def parse_lscpu(text: str) -> tuple[Cpu, ...]:
    """Return the CPUs by number; an empty core column makes each CPU a core, an empty socket or node column is 0."""
    cpus = []
    for line in text.splitlines():
        if re.fullmatch(r"\d+(,\d*){3}", line):
            number, core, socket, node = line.split(",")
            cpus.append(Cpu(int(number), int(core or number), int(socket or 0), int(node or 0)))
    return tuple(sorted(cpus, key=lambda cpu: cpu.number))


def parse_gpus(
    smi_list: str, smi_query: str, pci: Mapping[str, tuple[str, str]], usable: set[int]
) -> tuple[tuple[Gpu, ...], tuple[str, ...]]:
    """Return the GPUs, with the MIG devices of a GPU in its place; and the lines that list no GPU, as notes."""
    address_of = pci_addresses(smi_query)
    devices, other_lines = nvidia.parse_list(smi_list)
    gpus = []
    for gpu in devices:
        if any(device.parent == gpu.uuid for device in devices):
            continue
        node, local_cpus = pci.get(address_of.get(gpu.parent or gpu.uuid, ""), ("", ""))
        cpus = usable & set(parse_cpu_list(local_cpus)) if local_cpus.strip() else usable
        gpus.append(Gpu(gpu.uuid, gpu.name, int(node or UNKNOWN_NODE), tuple(sorted(cpus))))
    return tuple(gpus), tuple(f"nvidia-smi -L: {line}" for line in other_lines)


def pci_addresses(smi_query: str) -> dict[str, str]:
    """Return each GPU's PCI address by UUID, as /sys spells it: lower case, the domain in 4 digits, not 8."""
    rows = re.findall(r"^\d+, (\S+), .+, ([0-9A-F]+):([0-9A-F]+:[0-9A-F]+\.\d)$", smi_query, re.MULTILINE)
    return {uuid: f"{int(domain, 16):04x}:{device.lower()}" for uuid, domain, device in rows}


def read_hardware() -> Hardware:
    """Return the hardware that this process may use; raise CommandError if lscpu is missing or fails."""
    own_cgroups = _read_if_present("/proc/self/cgroup")
    cpusets = cgroup_files(own_cgroups, "cpuset", "cpuset.effective_cpus", "cpuset.cpus.effective")
    limits = cgroup_files(own_cgroups, "memory", "memory.limit_in_bytes", "memory.max")
    quotas = cgroup_files(own_cgroups, "cpu", "cpu.cfs_quota_us", "cpu.max")
    smi_list = nvidia.smi("-L")
    query = ("--query-gpu=index,uuid,name,pci.bus_id", "--format=csv,noheader")
    smi_query = nvidia.smi(*query) if "UUID" in smi_list else ""
    return describe(
        RawHardwareInfo(
            lscpu=_lscpu(),
            affinity=frozenset(os.sched_getaffinity(0)),
            meminfo=_read_if_present("/proc/meminfo"),
            cpuset=next(filter(str.strip, map(_read_if_present, cpusets)), ""),
            memory_limits=tuple(map(_read_if_present, limits)),
            cpu_quotas=tuple(f"{_read_if_present(path)} {_read_if_present(_period(path))}" for path in quotas),
            smi_list=smi_list,
            smi_query=smi_query,
            pci={address: _pci(address) for address in pci_addresses(smi_query).values()},
        )
    )


def free_memory() -> int:
    """Return the bytes that new processes can have."""
    own_cgroups = _read_if_present("/proc/self/cgroup")
    names = (("memory.limit_in_bytes", "memory.max"), ("memory.usage_in_bytes", "memory.current"), ("memory.stat",) * 2)
    columns = [map(_read_if_present, cgroup_files(own_cgroups, "memory", *name)) for name in names]
    return parse_free_memory(_read_if_present("/proc/meminfo"), zip(*columns, strict=True))


def _period(quota: PurePosixPath) -> PurePosixPath:
    """Return the file that has the period of cgroup v1's file `quota`; cgroup v2 has none."""
    return quota.with_name("cpu.cfs_period_us")


def _lscpu() -> str:
    command = ["lscpu", "-p=CPU,CORE,SOCKET,NODE"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError as error:
        raise CommandError(f"found no lscpu: {remedy(['util-linux'])}") from error
    except subprocess.CalledProcessError as error:
        raise CommandError(f"lscpu failed with status {error.returncode}: {error.stderr.strip()}") from error


def _pci(address: str) -> tuple[str, str]:
    device = f"/sys/bus/pci/devices/{address}"
    return _read_if_present(f"{device}/numa_node"), _read_if_present(f"{device}/local_cpulist")


def _read_if_present(path: str | PurePosixPath) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
