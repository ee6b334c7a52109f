"""model.toml with its [engine] and what [files] says of prepared networks put anew, all else byte for byte. Pure."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from scripts.models.tools.manifest import quoted
from worker.contract.engine import EngineSpec, Measured, Scaling
from worker.contract.fields import ModelError

PREPARED_FOLDER = "prepared"  # inside a model folder; all of it belongs to the preparation
HEADER = re.compile(r"^[ \t]*\[\[?(?P<path>[^\]\n]+)\]", re.MULTILINE)
GAP = re.compile(r"(?:^[ \t]*(?:#[^\n]*)?(?:\n|\Z))+\Z", re.MULTILINE)  # ends a text: blank lines and comments


@dataclass(frozen=True)
class Section:
    """A table as it is written: its name, the blank lines and comments above its header, the header and its lines."""

    name: str
    gap: str
    body: str

    @property
    def of_engine(self) -> bool:
        return self.name.split(".")[0].strip() == "engine"


def rewritten(text: str, source: str, digests: Mapping[str, str], engine: EngineSpec) -> str:
    """`text`, a model.toml, with `engine`, and with the sha256 `digests` of all prepared files by path.

    `source` is its name in the ModelError raised when it is laid out so that this cannot be done line by line.
    """
    before = tomllib.loads(text)
    sections = [_relisted(section, digests) for section in _sections(text)]
    result = "".join(section.gap + section.body for section in _with_engine(sections, engine))
    try:
        after = tomllib.loads(result)
    except tomllib.TOMLDecodeError:
        after = {}
    kept = {path: digest for path, digest in before["files"].items() if not _is_prepared(path)}
    wanted = before | {
        "files": kept | dict(digests),
        "engine": tomllib.loads("\n".join(engine_lines(engine)))["engine"],
    }
    if after != wanted:
        raise ModelError(
            f"{source}: found [files] or [engine] in another layout than a table under its own header: "
            "write each as one, then prepare the model again"
        )
    return result


def engine_lines(engine: EngineSpec) -> list[str]:
    """[engine] and the tables below it, line by line."""
    lines = [
        "[engine]",
        f"name = {quoted(engine.name)}",
        f"precision = {quoted(engine.precision)}",
        f"batch_sizes = {list(engine.batch_sizes)}",
        *([f"wait_ms = {engine.wait_ms}"] if engine.wait_ms else []),
    ]
    if engine.prepared:
        lines += ["", "[engine.prepared]", *(f"{name} = {quoted(file)}" for name, file in engine.prepared.items())]
    for row in engine.measured:
        lines += ["", "[[engine.measured]]", *_measured(row)]
    for speed in engine.scaling:
        lines += ["", "[[engine.scaling]]", *_scaling(speed)]
    return lines


def _measured(row: Measured) -> list[str]:
    return [
        f"machine = {quoted(row.machine)}",
        f"engine = {quoted(row.engine)}",
        f"precision = {quoted(row.precision)}",
        f"batch_sizes = {list(row.batch_sizes)}",
        f"images_per_s = {row.images_per_s:.1f}",
        f"agreement = {row.agreement:.4f}",
        f"difference = {row.difference:.6f}",
        f"chosen = {str(row.chosen).lower()}",
        *(["quick = true"] if row.quick else []),
    ]


def _scaling(row: Scaling) -> list[str]:
    return [
        f"machine = {quoted(row.machine)}",
        f"cores = {row.cores}",
        f"images_per_s = {row.images_per_s:.1f}",
        f"latency_ms = {row.latency_ms:.2f}",
    ]


def _relisted(section: Section, digests: Mapping[str, str]) -> Section:
    """[files] with what is prepared now in place of what was; any other section as it is."""
    if section.name.strip() != "files":
        return section
    kept = [line for line in section.body.splitlines(keepends=True) if not _is_prepared(line.strip().strip("\"'"))]
    new = [f"{quoted(path)} = {quoted(digest)}\n" for path, digest in digests.items()]
    return replace(section, body="".join(kept + new))


def _with_engine(sections: list[Section], engine: EngineSpec) -> list[Section]:
    """The new tables stand where the first of the old ones stood."""
    new = "\n".join(engine_lines(engine)) + "\n"
    result: list[Section] = []
    for section in sections:
        if not section.of_engine:
            result.append(section)
        elif not any(one.of_engine for one in result):
            result.append(replace(section, body=new))
    return result


def _sections(text: str) -> list[Section]:
    """All of `text`, in order: what stands before the first header and after the last table have no name."""
    headers = list(HEADER.finditer(text))
    edges = [0, *(header.start() for header in headers), len(text)]
    parts = [text[start:end] for start, end in pairwise(edges)]
    sections, gap = [], ""
    for name, part in zip(["", *(header["path"] for header in headers)], parts, strict=True):
        found = GAP.search(part)
        end = found.start() if found else len(part)
        sections.append(Section(name, gap, part[:end]))
        gap = part[end:]
    return [*sections, Section("", gap, "")]


def _is_prepared(path: str) -> bool:
    return path.startswith(f"{PREPARED_FOLDER}/")
