"""Metrics in Prometheus's text format: those of workers, read with suspicion, and the text of all together. All pure.

A scrape that has a single line wrong is lost as a whole, so that nothing of a worker is handed on unread.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OWN = "wanwu_gateway_"  # no worker may speak for the gateway
IDENTITY = ("worker", "slot", "model")  # the labels by which the gate tells workers apart; a worker's own may not
MAX_FAMILIES, MAX_SAMPLES = 64, 1000  # of one worker; one of this version has 20, and 17 samples for each route
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}

NAME = r"wanwu_[a-z][a-z0-9_]{0,62}"
LABEL = r'[a-z][a-z_]{0,31}="[^"\\\n]{0,100}"'
NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|[+-]Inf|NaN"
HELP = re.compile(rf"# HELP ({NAME}) ([^\\]{{1,200}})")
TYPE = re.compile(rf"# TYPE ({NAME}) ({'|'.join(SUFFIXES)})")
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ({NUMBER})")
LABEL_NAME = re.compile(r'([a-z_]+)="')


@dataclass(frozen=True)
class Family:
    """One metric: its type, its help, and its samples as lines."""

    kind: str
    help: str
    samples: str


Families = Mapping[str, Family]  # by name


def labels(values: Mapping[str, str]) -> str:
    """Return `values` as the text between the braces of a sample."""
    return ",".join(f'{name}="{_escape(value)}"' for name, value in values.items())


def sample(name: str, text: str, value: float) -> str:
    """Return a line of the metric `name` whose labels are `text`."""
    return f"{name}{{{text}}} {value:.12g}\n" if text else f"{name} {value:.12g}\n"


def parse_worker(body: bytes, identity: str) -> Families:
    """Return what a worker's answer `body` holds, with the labels `identity`; leave out each line that is not right."""
    helps: dict[str, str] = {}
    kinds: dict[str, str] = {}
    samples: dict[str, dict[str, str]] = {}
    family, left = "", MAX_SAMPLES
    for line in body.decode("ascii", errors="replace").split("\n"):
        if line.startswith("#"):
            if found := HELP.fullmatch(line):
                helps[found[1]] = found[2]
            elif (found := TYPE.fullmatch(line)) and len(kinds) < MAX_FAMILIES and not found[1].startswith(OWN):
                family, kinds[found[1]] = found[1], found[2]
        elif left and (found := SAMPLE.fullmatch(line)) and _belongs(found[1], family, kinds):
            name, own, value = found.groups()
            if own is None or _are_free(own):
                left -= 1
                head = f"{name}{{{identity}{f',{own}' if own else ''}}}"
                samples.setdefault(family, {})[head] = f"{head} {value}\n"
    return {name: Family(kinds[name], helps.get(name, name), "".join(rows.values())) for name, rows in samples.items()}


def merge(collected: Iterable[Families]) -> dict[str, Family]:
    """Return the families of all workers; where two differ in a metric's type or help, as the first has it."""
    parts: dict[str, list[str]] = {}
    first: dict[str, Family] = {}
    for families in collected:
        for name, family in families.items():
            if family.kind == first.setdefault(name, family).kind:
                parts.setdefault(name, []).append(family.samples)
    return {name: Family(family.kind, family.help, "".join(parts[name])) for name, family in first.items()}


def render(families: Families) -> str:
    """Return the text of `families`."""
    return "".join(_lines(families))


def _lines(families: Families) -> Iterator[str]:
    for name, family in sorted(families.items()):
        yield f"# HELP {name} {family.help}\n# TYPE {name} {family.kind}\n"
        yield family.samples


def _belongs(name: str, family: str, kinds: Mapping[str, str]) -> bool:
    return any(name == family + suffix for suffix in SUFFIXES.get(kinds.get(family, ""), ()))


def _are_free(own: str) -> bool:
    """Return whether a worker's labels are each there once, and none is of IDENTITY."""
    names = LABEL_NAME.findall(own)
    return len(set(names)) == len(names) and not set(IDENTITY).intersection(names)


def _escape(value: str) -> str:
    return value[:100].replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
