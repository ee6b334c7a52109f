"""Which class of a model a name stands for: a label in any of its languages, an index, or an ImageNet synset."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scripts.cluster.config import ROOT
from worker.models.labels import Labels
from worker.models.scores import Output

IMAGENET = ROOT / "worker/imagenet"
SYNSET = re.compile(r"n\d{8}(?!\d)")  # a WordNet 3.0 id of a noun: what names or folders of ImageNet begin with
ALIKE = 0.9  # of the 1,000 first names: libraries spell some of them differently
MOST_DIGITS = 9  # of an index
SEPARATORS = re.compile(r"[\s_/-]+")  # a slash in a label cannot be in a folder's name

Index = dict[str, set[int]]


class UnknownClass(Exception):
    """A name that stands for no class of the model, or for several; the text says why."""


class Classes:
    """The classes that compete for the label, by every name they go by."""

    def __init__(self, output: Output) -> None:
        self._main = {int(index) for index in output.main}
        self._count = output.labels.count
        names = [(name, index) for lines in output.labels.names.values() for index, name in enumerate(lines)]
        # The first of these that knows a name decides: "Cardigan" is a dog, "cardigan" is clothing.
        self._tables = [
            _table(names),
            _table((_loose(name), index) for name, index in names),
            _table((_loose(part), index) for name, index in names for part in _synonyms(name)),
        ]
        self._synsets = _synsets() if is_imagenet_1k(output.labels) else {}

    def find(self, name: str) -> int:
        """Return the index of the class called `name`; raise UnknownClass.

        Labels come before indices, for a model's labels may be numbers.
        """
        found = self._candidates(name)
        main = sorted(found & self._main)
        if len(main) > 1:
            raise UnknownClass(f"stands for the classes {', '.join(map(str, main))}: give one of these numbers")
        if main:
            return main[0]
        if found:
            raise UnknownClass("an attribute of the model, none of the classes that compete for the label")
        synset = self.synset(name)
        raise UnknownClass(f"{synset} is not in ImageNet-1k" if synset else "the model has no such class")

    def synset(self, file_name: str) -> str:
        """Return the synset that `file_name` begins with, "" where it has none or the model is not for ImageNet-1k."""
        found = SYNSET.match(file_name) if self._synsets else None
        return found[0] if found else ""

    def _candidates(self, name: str) -> set[int]:
        for table, key in zip(self._tables, (name, _loose(name), _loose(name)), strict=True):
            if found := table.get(key):
                return found
        if name.isascii() and name.isdecimal() and len(name) <= MOST_DIGITS:
            return {int(name)} if int(name) < self._count else set()
        synset = self.synset(name)
        return {self._synsets[synset]} if synset in self._synsets else set()


def is_imagenet_1k(labels: Labels) -> bool:
    """Tell whether a model's English labels are those of ImageNet-1k, line by line.

    Synonyms after a comma do not count, and ALIKE of the lines are enough.
    """
    known, english = _lines("imagenet-1k.en.txt"), labels.names.get("en", ())
    if len(english) != len(known):
        return False
    alike = sum(_first(ours) == _first(theirs) for ours, theirs in zip(known, english, strict=True))
    return alike >= ALIKE * len(known)


def _synsets() -> Mapping[str, int]:
    return {synset: index for index, synset in enumerate(_lines("synsets.txt"))}


def _lines(file: str) -> Sequence[str]:
    return (IMAGENET / file).read_text(encoding="utf-8").splitlines()


def _table(names: Iterable[tuple[str, int]]) -> Index:
    table: Index = {}
    for name, index in names:
        table.setdefault(name, set()).add(index)
    return table


def _synonyms(name: str) -> Iterator[str]:
    """Each of the names in a label such as "tench, Tinca tinca"."""
    yield from name.split(",") if "," in name else ()


def _first(name: str) -> str:
    return _loose(name.split(",")[0])


def _loose(name: str) -> str:
    """Return `name` without what file systems and people change: case, separators, compatible forms of characters."""
    return SEPARATORS.sub("", unicodedata.normalize("NFKC", name).casefold())
