from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.base.errors import CommandError
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.cluster.hardware import Cpu, Gpu, Hardware
from scripts.cluster.plan import Plan, Slot, Worker, plan, spread_models
from scripts.cluster.quota import within
from scripts.cluster.schema import Model, Server
from tests.unit.hardware import MACHINES, recorded
from worker.contract.cpu_list import format_cpu_list

PHOTOS = '[[models]]\nname = "photos"\nfolder = "worker/photos"\n'
TWO_MODELS = PHOTOS + '[[models]]\nname = "wide"\nfolder = "wide"\n'


def planned(machine: str, server: str = "", models: str = PHOTOS) -> Plan:
    cluster = parse_cluster(f"{models}[[servers]]\n{server}\n", "c.toml")
    return plan(cluster, {"this": recorded(machine)})


def cpus_of(plan: Plan) -> dict[str, str]:
    return {worker.slot.name: format_cpu_list(worker.slot.cpus) for worker in plan.workers}


def error_lines(machine: str, server: str = "", models: str = PHOTOS) -> list[str]:
    with pytest.raises(CommandError) as error:
        planned(machine, server, models)
    return list(error.value.lines)


def test_two_cores_give_two_workers_of_one_core() -> None:
    assert planned("two-cores") == Plan(
        (
            Worker("photos-0", "photos", Slot("this-cpu0", "this", (0,), None)),
            Worker("photos-1", "photos", Slot("this-cpu1", "this", (1,), None)),
        )
    )


def test_two_models_on_two_cores_get_one_worker_each() -> None:
    workers = planned("two-cores", models=TWO_MODELS).workers
    assert [(worker.name, worker.slot.name) for worker in workers] == [
        ("photos-0", "this-cpu0"),
        ("wide-0", "this-cpu1"),
    ]


def test_two_sockets_are_divided_into_workers_of_four_cores_with_their_siblings() -> None:
    slots = cpus_of(planned("two-sockets"))
    assert len(slots) == 16
    assert slots["this-cpu0"] == "0-3,64-67"
    assert slots["this-cpu7"] == "28-31,92-95"
    assert slots["this-cpu8"] == "32-35,96-99"
    assert slots["this-cpu15"] == "60-63,124-127"


def test_a_cpu_quota_bounds_the_plan_to_cores_of_one_node() -> None:
    assert cpus_of(planned("quota")) == {"this-cpu0": "0-2", "this-cpu1": "3-5"}
    assert list(cpus_of(planned("quota", 'cpus = "32-35"')).values()) == ["32", "33", "34", "35"]
    assert error_lines("quota", 'cpus = "32-39"') == [
        "c.toml: servers/0/cpus: found 8 CPUs, needed at most 6, for which the cgroup's quota has time: list fewer, "
        "or raise the quota"
    ]


@pytest.mark.parametrize(
    ("quota", "chosen"),
    [(None, "0-3"), (4.0, "0-3"), (3.9, "0-2"), (2.0, "0,2"), (1.0, "0"), (0.2, "0")],
)
def test_under_a_quota_each_core_gets_one_thread_before_one_gets_two(quota: float | None, chosen: str) -> None:
    cpus = [Cpu(0, 0, 0, 0), Cpu(1, 0, 0, 0), Cpu(2, 1, 0, 0), Cpu(3, 2, 1, 1)]
    assert format_cpu_list(cpu.number for cpu in within(cpus, quota)) == chosen


def test_eight_gpus_share_the_cores_of_their_numa_nodes() -> None:
    workers = planned("eight-gpus").workers
    assert [worker.slot.gpu for worker in workers] == [gpu.uuid for gpu in recorded("eight-gpus").gpus]
    slots = cpus_of(Plan(workers))
    assert list(slots) == [f"this-gpu{index}" for index in range(8)]
    assert (slots["this-gpu0"], slots["this-gpu3"]) == ("0-13,112-125", "42-55,154-167")
    assert (slots["this-gpu4"], slots["this-gpu7"]) == ("56-69,168-181", "98-111,210-223")


def test_three_odd_cores_of_a_cgroup_give_three_workers() -> None:
    assert cpus_of(planned("odd-cgroup")) == {"this-cpu0": "1", "this-cpu1": "3", "this-cpu2": "5"}


def test_mig_devices_and_whole_gpus_are_slots_alike() -> None:
    workers = planned("mig").workers
    assert [str(worker.slot.gpu)[:12] for worker in workers] == ["MIG-1d7f52a6", "MIG-8c20e4b7", "GPU-e07c3d58"]
    assert cpus_of(Plan(workers)) == {
        "this-gpu0": "0-4,16-20",
        "this-gpu1": "5-9,21-25",
        "this-gpu2": "10-15,26-31",
    }


def test_without_a_working_gpu_workers_run_on_cores() -> None:
    assert cpus_of(planned("broken-driver")) == {
        "this-cpu0": "0-1",
        "this-cpu1": "2-3",
        "this-cpu2": "4-5",
        "this-cpu3": "6-7",
    }
    assert cpus_of(planned("mig", 'gpus = "none"'))["this-cpu0"] == "0-3,16-19"


def test_listed_gpus_are_used_in_the_order_of_the_list() -> None:
    gpus = [gpu.uuid for gpu in recorded("eight-gpus").gpus]
    workers = planned("eight-gpus", f'gpus = ["{gpus[6]}", "{gpus[2]}"]').workers
    assert {worker.slot.name: worker.slot.gpu for worker in workers} == {
        "this-gpu0": gpus[6],
        "this-gpu1": gpus[2],
    }
    assert cpus_of(Plan(workers)) == {"this-gpu1": "0-55,112-167", "this-gpu0": "56-111,168-223"}


@pytest.mark.parametrize(
    ("server", "slots"),
    [
        ("workers = 2", {"this-cpu0": "0-31,64-95", "this-cpu1": "32-63,96-127"}),
        ("workers = 1", {"this-cpu0": "0-31,64-95"}),
        (
            "workers = 3",
            {"this-cpu0": "0-15,64-79", "this-cpu1": "16-31,80-95", "this-cpu2": "32-47,96-111"},
        ),
        ("cores_per_worker = 20", {"this-cpu0": "0-19,64-83", "this-cpu1": "32-51,96-115"}),
        ("workers = 2\ncores_per_worker = 1", {"this-cpu0": "0,64", "this-cpu1": "32,96"}),
        ('cpus = "2-3,66,40"', {"this-cpu0": "2,66", "this-cpu1": "3", "this-cpu2": "40"}),
    ],
)
def test_workers_cores_and_cpus_can_be_set(server: str, slots: dict[str, str]) -> None:
    assert cpus_of(planned("two-sockets", server)) == slots


def test_cpu_workers_on_a_server_with_gpus_must_be_requested() -> None:
    assert cpus_of(planned("mig", 'cpus = "0-1,16-17"')) == {
        "this-gpu0": "2-5,18-21",
        "this-gpu1": "6-10,22-26",
        "this-gpu2": "11-15,27-31",
        "this-cpu0": "0,16",
        "this-cpu1": "1,17",
    }
    assert cpus_of(planned("mig", "workers = 1")) == {
        "this-gpu0": "4-7,20-23",
        "this-gpu1": "8-11,24-27",
        "this-gpu2": "12-15,28-31",
        "this-cpu0": "0-3,16-19",
    }
    assert error_lines("mig", "cores_per_worker = 2") == [
        "c.toml: servers/0/cores_per_worker: found 2 on a server that uses only its GPUs,"
        ' needed "auto": or request CPU workers with workers or cpus, or set gpus = "none"'
    ]


def test_a_core_listed_with_one_thread_only_is_not_given_to_a_gpu() -> None:
    slots = cpus_of(planned("mig", 'cpus = "0"'))
    assert slots["this-cpu0"] == "0"
    assert slots["this-gpu0"] == "1-5,17-21"


def test_a_gpu_whose_numa_node_has_no_free_core_gets_cores_of_another() -> None:
    machine = recorded("eight-gpus")
    confined = replace(
        machine,
        cpus=tuple(cpu for cpu in machine.cpus if cpu.core in (0, *range(56, 70))),
        gpus=machine.gpus[:2],
    )
    workers = plan(parse_cluster(PHOTOS, "c.toml"), {"this": confined}).workers
    assert cpus_of(Plan(workers)) == {"this-gpu0": "0,112", "this-gpu1": "56-69,168-181"}


def test_workers_have_fewer_cores_if_a_model_would_have_no_worker() -> None:
    models = "".join(f'[[models]]\nname = "m{index}"\nfolder = "m"\n' for index in range(3))
    machine = replace(recorded("mig"), gpus=(), cpus=recorded("mig").cpus[:8])
    assert len(plan(parse_cluster(PHOTOS, "c.toml"), {"this": machine}).workers) == 2
    workers = plan(parse_cluster(models, "c.toml"), {"this": machine}).workers
    assert [(worker.model, len(worker.slot.cpus)) for worker in workers] == [("m0", 2), ("m1", 3), ("m2", 3)]


def test_gpus_of_unknown_numa_node_go_to_the_node_with_most_cores_per_gpu() -> None:
    machine = recorded("two-sockets")
    gpus = tuple(Gpu(f"GPU-{index}", "GPU", -1, tuple(range(128))) for index in range(3))
    small_node_0 = tuple(cpu for cpu in machine.cpus if cpu.core >= 20)
    confined = replace(machine, cpus=small_node_0, gpus=gpus)
    assert cpus_of(plan(parse_cluster(PHOTOS, "c.toml"), {"this": confined})) == {
        "this-gpu2": "20-31,84-95",
        "this-gpu0": "32-47,96-111",
        "this-gpu1": "48-63,112-127",
    }


def test_the_slots_of_a_model_are_spread_evenly() -> None:
    models = [Model("often", ROOT, 3), Model("rare", ROOT, 1)]
    assert " ".join(spread_models(models, 8)) == "often often rare often often often rare often"


def test_shares_follow_the_largest_remainder_with_at_least_one_worker() -> None:
    def counts(*shares: int) -> list[int]:
        models = "".join(
            f'[[models]]\nname = "m{index}"\nfolder = "m"\nshare = {share}\n' for index, share in enumerate(shares)
        )
        count = Counter(worker.model for worker in planned("two-sockets", models=models).workers)
        return [count[f"m{index}"] for index in range(len(shares))]

    assert counts(1, 1) == [8, 8]
    assert counts(1, 1, 1) == [6, 5, 5]
    assert counts(3, 1) == [12, 4]
    assert counts(5, 2, 1) == [10, 4, 2]
    assert counts(7, 2, 2) == [10, 3, 3]
    assert counts(10**18, 1, 1) == [14, 1, 1]


def test_each_model_is_spread_over_numa_nodes_and_servers() -> None:
    text = (
        PHOTOS
        + '[[models]]\nname = "rare"\nfolder = "rare"\n'
        + 'share = 1\n[[models]]\nname = "often"\nfolder = "often"\nshare = 6\n'
        + '[[servers]]\nname = "a"\naddress = "10.0.0.1"\n[[servers]]\nname = "b"\naddress = "10.0.0.2"\n'
    )
    machines = {"a": recorded("two-sockets"), "b": recorded("two-sockets")}
    nodes = defaultdict(set)
    workers = plan(parse_cluster(text, "c.toml"), machines).workers
    for worker in workers:
        nodes[worker.model].add((worker.slot.server, worker.slot.cpus[0] // 32))
    assert Counter(worker.model for worker in workers) == {"photos": 4, "rare": 4, "often": 24}
    everywhere = {("a", 0), ("a", 1), ("b", 0), ("b", 1)}
    assert nodes == {"photos": everywhere, "rare": everywhere, "often": everywhere}


@pytest.mark.parametrize(
    ("machine", "server", "line"),
    [
        ("two-cores", 'cpus = "1-3"', 'cpus: found 2-3, not on server "this", needed some of 0-1'),
        (
            "odd-cgroup",
            'cpus = "1-2"',
            "cpus: found 2, which this process's affinity mask or cgroup cpuset forbids, needed some of 1,3,5",
        ),
        (
            "mig",
            'gpus = ["GPU-b46d19c0-3a5e-4e07-9f82-c17a0d6e5b31"]',
            'gpus: found GPU-b46d19c0-3a5e-4e07-9f82-c17a0d6e5b31, unknown to server "this", needed some of'
            " MIG-1d7f52a6-90c3-5b48-a6ee-03f4c8b1d972, MIG-8c20e4b7-5f6d-5a13-9d04-b7e8a25c61f0,"
            " GPU-e07c3d58-1b92-4f6a-8ad5-4c9e2f70b186",
        ),
        (
            "two-cores",
            'gpus = ["GPU-1"]',
            'gpus: found GPU-1, unknown to server "this", needed "auto" or "none": it has no GPU',
        ),
        ("two-cores", 'cpus = "none"', 'cpus: found "none" where no GPU was found, needed a slot: set cpus = "auto"'),
        (
            "two-cores",
            "workers = 3",
            "workers: found 3 workers of 1 core each, needed at most 2 on 2 cores in 1 NUMA node:"
            " lower workers or cores_per_worker",
        ),
        (
            "two-sockets",
            "workers = 3\ncores_per_worker = 20",
            "workers: found 3 workers of 20 cores each, needed at most 2 on 64 cores in 2 NUMA nodes:"
            " lower workers or cores_per_worker",
        ),
        (
            "two-sockets",
            "cores_per_worker = 33",
            "cores_per_worker: found 33, needed at most 32, the cores of one NUMA node",
        ),
        (
            "mig",
            "workers = 14\ncores_per_worker = 1",
            "gpus: found 3 GPUs for 2 free cores, needed a core for each:"
            " list fewer GPUs, request fewer CPU workers, or allow more CPUs",
        ),
    ],
)
def test_requests_beyond_the_hardware_are_rejected(machine: str, server: str, line: str) -> None:
    assert error_lines(machine, server) == [f"c.toml: servers/0/{line}"]


def test_missing_and_forbidden_cpus_are_distinguished() -> None:
    assert error_lines("odd-cgroup", 'cpus = "1-2,9"') == [
        'c.toml: servers/0/cpus: found 9, not on server "this", needed some of 1,3,5',
        "c.toml: servers/0/cpus: found 2, which this process's affinity mask or cgroup cpuset forbids,"
        " needed some of 1,3,5",
    ]


def test_more_models_than_slots_are_rejected() -> None:
    assert error_lines("two-cores", "workers = 1", TWO_MODELS) == [
        "c.toml: models: found 2 models for 1 slot, needed a slot for each:"
        " remove models, add servers, or configure more workers with fewer cores"
    ]


def test_the_faults_of_all_servers_are_reported_at_once() -> None:
    text = f'{PHOTOS}[[servers]]\nworkers = 9\n[[servers]]\nname = "b"\naddress = "b"\n'
    with pytest.raises(CommandError) as error:
        plan(parse_cluster(text, "c.toml"), {"this": recorded("two-cores")})
    assert error.value.lines == (
        "c.toml: servers/0/workers: found 9 workers of 1 core each, needed at most 2 on 2 cores in 1 NUMA node:"
        " lower workers or cores_per_worker",
        'c.toml: servers/1/name: found "b", whose hardware was not read, needed one of this:'
        " read its hardware or remove the server",
    )


@st.composite
def machines(draw: st.DrawFn, gpus: int = 8) -> Hardware:
    """Draw machines of 1 to 4 NUMA nodes with 1 to 20 cores of 1 or 2 threads, any subset of them usable."""
    threads = draw(st.integers(1, 2))
    sizes = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    cores = [(core, node) for node, size in enumerate(sizes) for core in range(size)]
    cpus = [
        Cpu(thread * len(cores) + index, core, node, node)
        for thread in range(threads)
        for index, (core, node) in enumerate(cores)
    ]
    usable = draw(st.sets(st.sampled_from(cpus), min_size=1)) if draw(st.booleans()) else set(cpus)
    nodes = draw(st.lists(st.integers(-1, len(sizes) - 1), max_size=gpus))
    return Hardware(
        cpus=tuple(cpu for cpu in cpus if cpu in usable),
        gpus=tuple(
            Gpu(f"GPU-{index}", "GPU", node, tuple(c.number for c in cpus if c in usable and node in (-1, c.numa_node)))
            for index, node in enumerate(nodes)
        ),
        memory_bytes=2**34,
        forbidden_cpus=tuple(cpu.number for cpu in cpus if cpu not in usable),
    )


def cluster_of(models: int = 1, workers: int | None = None, cores_per_worker: int | None = None) -> Cluster:
    server = Server("this", "127.0.0.1", None, None, workers, cores_per_worker)
    served = tuple(Model(f"m{index}", ROOT, index + 1) for index in range(models))
    return replace(parse_cluster(PHOTOS, "c.toml"), models=served, servers=(server,))


def core_count(machine: Hardware) -> int:
    return len({(cpu.numa_node, cpu.core) for cpu in machine.cpus})


def cores_of(worker: Worker, machine: Hardware) -> set[tuple[int, int]]:
    return {(cpu.numa_node, cpu.core) for cpu in machine.cpus if cpu.number in worker.slot.cpus}


def check_slots(workers: tuple[Worker, ...], machine: Hardware) -> None:
    """Slots are disjoint, in the allowed CPUs and in one NUMA node, keep siblings together, and have unique names."""
    cpu_of = {cpu.number: cpu for cpu in machine.cpus}
    used = [cpu for worker in workers for cpu in worker.slot.cpus]
    assert len(used) == len(set(used))
    assert set(used) <= set(cpu_of)
    for worker in workers:
        cores = {(cpu_of[cpu].numa_node, cpu_of[cpu].core) for cpu in worker.slot.cpus}
        assert len({node for node, _ in cores}) == 1
        siblings = {cpu.number for cpu in machine.cpus if (cpu.numa_node, cpu.core) in cores}
        assert set(worker.slot.cpus) == siblings
    for values in ([w.name for w in workers], [w.slot.name for w in workers]):
        assert len(values) == len(set(values))


@given(machines(), st.integers(1, 6))
def test_any_machine_gets_a_valid_plan_by_default(machine: Hardware, models: int) -> None:
    cores = core_count(machine)
    if len(machine.gpus) > cores or models > (len(machine.gpus) or cores):
        with pytest.raises(CommandError):
            plan(cluster_of(models), {"this": machine})
        return
    workers = plan(cluster_of(models), {"this": machine}).workers
    check_slots(workers, machine)
    assert {worker.model for worker in workers} == {f"m{index}" for index in range(models)}
    if machine.gpus:
        assert Counter(worker.slot.gpu for worker in workers) == Counter(gpu.uuid for gpu in machine.gpus)
    else:
        assert sorted(cpu for worker in workers for cpu in worker.slot.cpus) == [cpu.number for cpu in machine.cpus]


@given(machines(gpus=0), st.integers(1, 3), st.integers(1, 8))
def test_workers_have_at_most_the_cores_that_were_measured_best(machine: Hardware, models: int, measured: int) -> None:
    cores = core_count(machine)
    if models > cores:
        return
    workers = plan(cluster_of(models), {"this": machine}, cores={"this": measured}).workers
    check_slots(workers, machine)
    assert sum(len(cores_of(worker, machine)) for worker in workers) == cores
    assert max(len(cores_of(worker, machine)) for worker in workers) <= measured
    per_node = Counter(node for node, _ in {(cpu.numa_node, cpu.core) for cpu in machine.cpus})
    fewest = sum(-(-count // measured) for count in per_node.values())
    assert len(workers) == fewest or len({worker.model for worker in workers}) == models > fewest


@given(machines(gpus=3), st.integers(1, 12), st.none() | st.integers(1, 6))
def test_requested_workers_get_a_valid_plan_or_an_error(
    machine: Hardware, workers: int, cores_per_worker: int | None
) -> None:
    per_node = Counter(node for node, _ in {(cpu.numa_node, cpu.core) for cpu in machine.cpus}).values()
    capacity = sum(cores // (cores_per_worker or 1) for cores in per_node)
    free = core_count(machine) - workers * (cores_per_worker or 1)
    cluster = cluster_of(1, workers, cores_per_worker)
    if workers > capacity or free < len(machine.gpus):
        with pytest.raises(CommandError):
            plan(cluster, {"this": machine})
        return
    result = plan(cluster, {"this": machine}).workers
    check_slots(result, machine)
    assert sum(worker.slot.gpu is None for worker in result) == workers
    assert sum(worker.slot.gpu is not None for worker in result) == len(machine.gpus)


@pytest.mark.parametrize("machine", MACHINES)
def test_recorded_machines_get_a_valid_plan(machine: str) -> None:
    found = recorded(machine)
    check_slots(planned(machine).workers, replace(found, cpus=within(found.cpus, found.cpu_quota)))
