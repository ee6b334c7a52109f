"""The project's performance goals, compared with the results of one run. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.bench.results import Results
from scripts.bench.targets import DOCUMENTED, LARGEST, PHOTOS, REFERENCE, SAME_ENGINE, SIZES, SMALLEST, Load

# The multiples needed at each of SIZES, on processors whose int8 instructions run at half rate and at full rate.
TO_BASELINE = {PHOTOS: ((7.2, 5.5, 4.5), (9, 7, 5)), REFERENCE: ((5.1, 4.5, 4), (6.3, 6, 5))}
TO_BEST_PEER = (5, 4.5, 4)
AMD_ZEN_5 = 26  # the first of AMD's CPU families whose VNNI runs at full rate


@dataclass(frozen=True)
class Goal:
    """A quantity to be at least, or `at_most`, `needed`; `measured` is None if it was not measured."""

    name: str
    needed: float
    measured: float | None = None
    at_most: bool = False

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Return the name, what is needed, what was measured, and the verdict."""
        needed = f"at {'most' if self.at_most else 'least'} {self.needed:g}"
        if self.measured is None:
            return self.name, needed, "", "not measured"
        reached = self.measured <= self.needed if self.at_most else self.measured >= self.needed
        return self.name, needed, f"{self.measured:.3g}", "reached" if reached else "NOT reached"


def has_full_rate(cpuinfo: str) -> bool:
    """Return whether the processor in /proc/cpuinfo has AMX, or VNNI at full rate, which Zen 4 and AVX-VNNI lack."""
    fields = dict(re.findall(r"^(flags|cpu family|vendor_id)\s*: (.*)$", cpuinfo, re.MULTILINE))
    flags = fields.get("flags", "").split()
    is_half_amd = fields.get("vendor_id") == "AuthenticAMD" and int(fields["cpu family"]) < AMD_ZEN_5
    return "amx_int8" in flags or ("avx512_vnni" in flags and not is_half_amd)


def goals(results: Results, full_rate: bool) -> Iterator[Goal]:
    """Yield every goal; `full_rate` is whether the processor runs int8 at full rate."""
    service, worker, alone = (f"{kind}-{REFERENCE}" for kind in ("service", "worker", "in-process"))
    for model, rates in TO_BASELINE.items():
        for size, needed in zip(SIZES, rates[full_rate], strict=True):
            ratio = results.ratio(f"service-{model}", f"baseline-{REFERENCE}", Load(size))
            yield Goal(f"{model} behind Nginx, {size} MP: times the baseline's {REFERENCE}", needed, ratio)
    for size, needed in zip(SIZES, TO_BEST_PEER, strict=True):
        ratios = [ratio for peer in DOCUMENTED if (ratio := results.ratio(service, peer, Load(size)))]
        name = f"{REFERENCE} behind Nginx, {size} MP: times the best peer as documented"
        yield Goal(name, needed, min(ratios, default=None))
    total = results.median(service, Load(), lambda sample: sample.cpu_ms)
    parts = results.median(alone, Load(), lambda sample: sample.engine_ms + sample.jpeg_ms)
    name = f"{REFERENCE}: CPU ms an image behind Nginx, less engine and libjpeg, {SMALLEST} MP"
    yield Goal(name, 1.3, total - parts if total and parts else None, True)
    p99 = results.ratio(worker, SAME_ENGINE, Load(open=True), "p99_ms")
    yield Goal("one worker: times mosec with this engine", 1.12, results.ratio(worker, SAME_ENGINE, Load()))
    yield Goal("one worker: p99 in the open loop, times mosec's with this engine", 1, p99, True)
    yield Goal("one worker over HTTP: times in process", 0.95, results.ratio(worker, alone, Load()))
    for model in (PHOTOS, REFERENCE):
        peak = results.median(f"worker-{model}", Load(LARGEST), lambda sample: sample.loaded.peak)
        yield Goal(f"{model}: memory of a worker under {LARGEST} MP load, MB", 350, peak, True)
