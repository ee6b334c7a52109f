"""`python -m tests.gpu.load GPU`: one worker under load, compared with its engine in a bare loop.

GPU is the UUID of the worker's GPU; with "" it runs on the CPUs, to try this program.
"""

import http.client
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from scripts.base.console import aligned, say, step, warn
from scripts.bench import network, procfs
from scripts.bench.client import encode, first_label, percentile
from scripts.models.options import AddModelOptions
from scripts.models.tools.add import add
from scripts.models.tools.answers import decoder
from scripts.models.tools.images import jpeg
from scripts.models.tools.prepare.benchmark import BenchmarkResult, Candidate, ModelUnderTest, run_benchmark
from scripts.models.tools.prepare.effort import QUICK
from scripts.models.tools.prepare.isolated import Placement, ProcessFailed, run_isolated
from scripts.models.tools.prepare.select import rate
from scripts.models.tools.rewrite import rewritten
from tests.local.gateway_harness import stop
from tests.local.worker_harness import WorkerProcess
from worker.contract import nvidia
from worker.contract.cpu_list import format_cpu_list
from worker.contract.engine import EngineSpec
from worker.contract.machine import machine_kind
from worker.contract.toml_reader import ModelError
from worker.models.folder import read_folder

PHOTOS = 16  # of 0.2 megapixels, generated
WARM_UP, SECONDS = 5, 15.0  # requests of each client to estimate the rate; how long the load is to last
BENCHMARK_LIMIT_S, LOG_LINES, TIMEOUT_S = 180.0, 10, 60
BUCKET = re.compile(r'^wanwu_batch_size_images_bucket\{le="([0-9.]+|\+Inf)"\} ([0-9.]+)$', re.MULTILINE)


def make_folder(path: Path, architecture: str, images: Sequence[Path]) -> Path:
    """Make a model folder of a network with random weights, whose golden image is the first of `images`."""
    weights, folder = path / f"{architecture}.pth", path / "model"
    network.write(str(weights), architecture, len(images))
    folder.mkdir()
    add(
        folder,
        AddModelOptions(
            name="load", source=str(weights), loader="torchvision", architecture=architecture, golden=str(images[0])
        ),
    )
    return folder


def bare_loop(folder: Path, images: Sequence[Path], candidate: Candidate, cpus: Sequence[int]) -> BenchmarkResult:
    """Return the benchmark of the engine alone, and make the worker use the batch sizes that it found worth using."""
    decode, path = decoder(read_folder(folder)), folder.parent / "images.npy"
    np.save(path, np.stack([decode(image.read_bytes()) for image in images]))
    model, place = ModelUnderTest(folder, {}, path, QUICK), Placement(tuple(cpus), candidate.gpu)
    result = run_isolated(place, BENCHMARK_LIMIT_S, run_benchmark, model, candidate, len(cpus))
    manifest = folder / "model.toml"
    spec = EngineSpec("torch", candidate.precision, result.batch_sizes)
    manifest.write_text(rewritten(manifest.read_text(), str(manifest), {}, spec))
    return result


Request = tuple[str, bytes, str]  # content type, body, expected label


def closed_loop(port: int, requests: Sequence[Request], count: int) -> tuple[float, list[float], Counter[str]]:
    """Send `count` requests one after another; return the seconds, the latencies in ms, and the unexpected outcomes."""
    started, latencies, errors = time.monotonic(), list[float](), Counter[str]()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)) as connection:
        for number in range(count):
            (kind, body, label), sent = requests[number % len(requests)], time.monotonic()
            connection.request("POST", "/predict", body, {"Content-Type": kind})
            response = connection.getresponse()
            found = first_label(response.read())
            latencies.append(1000 * (time.monotonic() - sent))
            if (response.status, found) != (200, label):
                errors[f"{response.status}, found {found}, needed {label}"] += 1
    return time.monotonic() - started, latencies, errors


def load(port: int, requests: Sequence[Request], count: int, clients: int) -> tuple[float, list[float], Counter[str]]:
    """Let `clients` processes send `count` requests each; return answers/s, their latencies in ms, and the errors."""
    with ProcessPoolExecutor(clients) as pool:
        done = list(pool.map(closed_loop, *zip(*[(port, requests, count)] * clients, strict=True)))
    answers_per_s = sum(len(latencies) / seconds for seconds, latencies, _ in done)
    latencies = [latency for _, some, _ in done for latency in some]
    return answers_per_s, latencies, sum((errors for *_, errors in done), Counter[str]())


@contextmanager
def started(folder: Path, log: Path, gpu: str, cpus: Sequence[int]) -> Iterator[WorkerProcess]:
    """Start a worker, and print the end of its log if it does not become ready or the load fails."""
    worker = WorkerProcess(folder, log, GPU=gpu, CPUS=format_cpu_list(cpus))
    try:
        worker.wait_until("ready")
        yield worker
    except BaseException:
        warn("\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]))
        raise
    finally:
        stop(worker.process)


def batches(metrics: str) -> dict[str, int]:
    """Return how many batches had up to each number of images, by the buckets of the worker's histogram."""
    counts = [(size, int(float(count))) for size, count in BUCKET.findall(metrics)]
    before = [0, *(count for _, count in counts)]
    return {size: count - less for (size, count), less in zip(counts, before, strict=False) if count > less}


def gpu_memory(gpu: str) -> str:
    return nvidia.smi("--query-gpu=memory.used", "--format=csv,noheader", f"--id={gpu}").strip() if gpu else "none"


def main(gpu: str) -> int:
    """Print what one worker reaches; return 1 if any answer was wrong."""
    architecture, precision, clients = ("resnet18", "fp16", 64) if gpu else ("mobilenet_v3_small", "f32", 2)
    # Without a GPU the engine runs on one core alone, as its threads would wait for one another on a busy machine.
    cpus = sorted(os.sched_getaffinity(0))[0 if gpu else -1 :]
    candidate = Candidate("torch", precision, machine_kind(gpu), gpu)
    with TemporaryDirectory() as scratch:
        images = [Path(scratch) / f"{seed}.jpg" for seed in range(PHOTOS)]
        for seed, image in enumerate(images):
            image.write_bytes(jpeg(seed))
        folder, before = make_folder(Path(scratch), architecture, images), gpu_memory(gpu)
        step("the engine in a bare loop")
        bare = bare_loop(folder, images, candidate, cpus)
        step(f"one worker, {clients} clients")
        with started(folder, Path(scratch) / "log", gpu, cpus) as worker:
            bodies = [image.read_bytes() for image in images]
            requests = [(*encode("raw", body), first_label(worker.predict(body).body)) for body in bodies]
            estimate, *_ = load(worker.port, requests, WARM_UP, clients)
            count = max(WARM_UP, int(estimate * SECONDS / clients))
            answers_per_s, latencies, errors = load(worker.port, requests, count, clients)
            sizes = batches(worker.ask("GET", "/metrics").body.decode())
            memory, after = procfs.memory([worker.inner_pid]), gpu_memory(gpu)
    alone = rate(candidate, bare)
    say(aligned([
        ("processor", f"{candidate.machine}; {len(cpus)} CPUs decode"),
        ("network", f"{architecture} in {candidate.precision}, batch sizes {', '.join(map(str, bare.batch_sizes))}"),
        ("engine in a bare loop", f"{alone:.0f} images/s"),
        ("one worker", f"{answers_per_s:.0f} images/s, {answers_per_s / alone:.2f} of the bare loop"),
        ("latency", f"median {percentile(latencies, 0.5):.1f} ms, p99 {percentile(latencies, 0.99):.1f} ms"),
        ("batches up to", ", ".join(f"{size}: {count}" for size, count in sizes.items())),
        ("memory of the worker", f"{memory.rss:.0f} MB"),
        ("memory of the GPU", f"{after}, before the worker {before}"),
    ]))  # fmt: skip
    for error, count in errors.items():
        warn(f"{count} times: {error}")
    return 1 if errors or bare.fault else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except (ProcessFailed, ModelError) as error:
        warn(str(error))
        sys.exit(1)
