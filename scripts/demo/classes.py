"""The demo's classes: one emoji glyph, one English and one Chinese name each, in `classes.tsv`.

A name marked with `*` deliberately differs from the `emoji` package's; every other name is the package's own.
`check` proves both, so that a mark cannot outlive its reason.
"""

from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("classes.tsv")
OVERRIDE_MARK = "*"
FEWEST_CLASSES = 200


@dataclass(frozen=True)
class Thing:
    """One class; its place in the table is its index."""

    glyph: str
    english: str
    chinese: str
    english_overridden: bool
    chinese_overridden: bool


def read_things(table: Path = TABLE) -> tuple[Thing, ...]:
    """All classes in index order; `ValueError` on a malformed, blank or repeated entry."""
    things = tuple(
        _thing(line, f"{table.name}:{number}")
        for number, line in enumerate(table.read_text(encoding="utf-8").splitlines(), start=1)
    )
    for column in ("glyph", "english", "chinese"):
        seen: set[str] = set()
        for number, thing in enumerate(things, start=1):
            value = getattr(thing, column)
            if value in seen:
                where = f"{table.name}:{number}"
                raise ValueError(f"{where}: {column} {value!r} is already taken by a line above")
            seen.add(value)
    if len(things) < FEWEST_CLASSES:
        raise ValueError(f"{table.name} holds {len(things)} classes, at least {FEWEST_CLASSES} are needed")
    return things


def package_names(glyph: str) -> tuple[str, str]:
    """The `emoji` package's English and Chinese names of a glyph, as everyday words."""
    import emoji

    emoji.config.load_language("zh")
    entry = emoji.EMOJI_DATA[glyph]
    english, chinese = (entry[language].strip(":").replace("_", " ") for language in ("en", "zh"))
    return english.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"), chinese


def check(things: tuple[Thing, ...]) -> list[str]:
    """What disagrees with the `emoji` package, one sentence each; empty when all is well."""
    faults = []
    for thing in things:
        english, chinese = package_names(thing.glyph)
        for ours, theirs, overridden in (
            (thing.english, english, thing.english_overridden),
            (thing.chinese, chinese, thing.chinese_overridden),
        ):
            if (ours != theirs) != overridden:
                remedy = f"remove its {OVERRIDE_MARK}" if overridden else f"mark it with {OVERRIDE_MARK}"
                faults.append(f"{thing.glyph} is {ours!r} here and {theirs!r} in the emoji package: {remedy}")
    return faults


def _thing(line: str, where: str) -> Thing:
    cells = line.split("\t")
    names = [cell.removeprefix(OVERRIDE_MARK) for cell in cells]
    if len(cells) != 3 or any(not name or name != name.strip() for name in names):
        raise ValueError(f"{where}: needs glyph, English, Chinese, separated by single tabs; found {line!r}")
    glyph, english, chinese = names
    overridden = [cell.startswith(OVERRIDE_MARK) for cell in cells]
    return Thing(glyph, english, chinese, overridden[1], overridden[2])
