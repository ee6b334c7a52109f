"""The project's performance goals, compared with the results of one run. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from scripts.bench.results import Results
from scripts.bench.targets import DOCUMENTED, LARGEST, PHOTOS, REFERENCE, SIZES, SMALLEST, Load

# The multiples needed at each of SIZES, on processors whose int8 instructions run at half rate and at full rate.
TO_BASELINE = {PHOTOS: ((7.2, 5.5, 4.5), (9, 7, 5)), REFERENCE: ((5.1, 4.5, 4), (6.3, 6, 5))}
TO_BEST_PEER = (5, 4.5, 4)
OTHER_CPU_MS, TO_SAME_ENGINE, P99_TO_SAME_ENGINE, TO_IN_PROCESS = 1.3, 1.12, 1, 0.95
AGREEMENT, MEMORY_MB = 0.99, 350
GROWTH = {"CPU of the gate, % of a core": 25, "memory of the gate, MB": 100, "a dead worker leaves after, s": 5}
AMD_ZEN_5 = 26  # the first of AMD's CPU families whose VNNI runs at full rate


@dataclass(frozen=True)
class Goal:
    """A quantity to be at least, or `at_most`, `needed`; `measured` is None if it was not measured."""

    name: str
    needed: float
    measured: float | None = None
    at_most: bool = False
    format: str = "{:.2f}"

    @property
    def needed_text(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.format.format(self.needed)}"

    @property
    def measured_text(self) -> str:
        return "" if self.measured is None else self.format.format(self.measured)

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        reached = self.measured <= self.needed if self.at_most else self.measured >= self.needed
        return "reached" if reached else "NOT reached"


def has_full_rate(cpuinfo: str) -> bool:
    """Return whether the processor in /proc/cpuinfo has AMX, or VNNI at full rate, which Zen 4 and AVX-VNNI lack."""
    fields = dict(re.findall(r"^(flags|cpu family|vendor_id)\s*: (.*)$", cpuinfo, re.MULTILINE))
    flags = fields.get("flags", "").split()
    is_half_amd = fields.get("vendor_id") == "AuthenticAMD" and int(fields["cpu family"]) < AMD_ZEN_5
    return "amx_int8" in flags or ("avx512_vnni" in flags and not is_half_amd)


def goals(results: Results, full_rate: bool, agreements: Mapping[str, Mapping[str, float]]) -> list[Goal]:
    """Return every goal; `agreements` holds that of scaled with exact decoding for each size of images."""
    service, worker, in_process = (f"{kind}-{REFERENCE}" for kind in ("service", "worker", "in-process"))
    baseline, same_engine = f"baseline-{REFERENCE}", "mosec-engine"
    found = [
        Goal(f"{model} behind Nginx, {size} MP: times the baseline's {REFERENCE}", needed,
             results.ratio(f"service-{model}", baseline, Load(size)))
        for model, rates in TO_BASELINE.items() for size, needed in zip(SIZES, rates[full_rate], strict=True)
    ]  # fmt: skip
    for size, needed in zip(SIZES, TO_BEST_PEER, strict=True):
        ratios = [ratio for peer in DOCUMENTED if (ratio := results.ratio(service, peer, Load(size)))]
        name = f"{REFERENCE} behind Nginx, {size} MP: times the best peer as documented"
        found.append(Goal(name, needed, min(ratios, default=None)))
    total = results.median(service, Load(), lambda sample: sample.cpu_ms)
    parts = results.median(in_process, Load(), lambda sample: sample.engine_ms + sample.jpeg_ms)
    p99 = results.ratio(worker, same_engine, Load(open=True), "p99_ms")
    found += [
        Goal(f"{REFERENCE}: CPU ms an image behind Nginx, less engine and libjpeg, {SMALLEST} MP", OTHER_CPU_MS,
             total - parts if total and parts else None, True),
        Goal("one worker: times mosec with this engine", TO_SAME_ENGINE, results.ratio(worker, same_engine, Load())),
        Goal("one worker: p99 in the open loop, times mosec's with this engine", P99_TO_SAME_ENGINE, p99, True),
        Goal("one worker over HTTP: times in process", TO_IN_PROCESS, results.ratio(worker, in_process, Load())),
    ]  # fmt: skip
    for size in (SMALLEST, LARGEST):
        one = agreements.get(size, {})
        name = f"top-1 agreement of scaled with exact decoding, f32, {size} MP"
        name += f"; {one['images']} images, largest difference of a score {one['difference']:.4f}" if one else ""
        found.append(Goal(name, AGREEMENT, one.get("agreement"), format="{:.1%}"))
    for model in (PHOTOS, REFERENCE):
        loaded = results.median(f"worker-{model}", Load(LARGEST), lambda sample: sample.loaded.rss)
        found.append(
            Goal(f"{model}: memory (RSS) of a worker under {LARGEST} MP load, MB", MEMORY_MB, loaded, True, "{:.0f}")
        )
    growth = [
        Goal(f"400 workers of 50 servers: {name}", needed, None, True, "{:.0f}") for name, needed in GROWTH.items()
    ]
    return [*found, *growth]
