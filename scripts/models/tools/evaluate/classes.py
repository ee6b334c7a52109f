"""Map the name of a class to the model's class: a label in any language, an index, or an ImageNet synset."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

from scripts.cluster.config import ROOT
from worker.contract.languages import BOTH
from worker.models.labels import Labels
from worker.models.scores import Output

IMAGENET = ROOT / "worker/imagenet"
SYNSET = re.compile(r"n\d{8}(?!\d)")  # a WordNet 3.0 id of a noun, with which ImageNet's file and folder names begin
MIN_AGREEMENT = 0.9  # of the 1,000 first names, since libraries spell some of them differently
MAX_DIGITS = 9  # of an index
SEPARATORS = re.compile(r"[\s_/-]+")  # the slash because a folder's name cannot contain one

Index = dict[str, set[int]]


class UnknownClass(Exception):
    """A name that matches no class of the model, or several; the text says why."""


class Classes:
    """The classes of a model's main output, by all their names."""

    def __init__(self, output: Output) -> None:
        self._main = {int(index) for index in output.main}
        self._count = output.labels.count
        names = [(name, index) for lines in output.labels.names.values() for index, name in enumerate(lines)]
        # A class folder may be called in two languages, as `make teach` takes it.
        names += [(output.labels.name(index, BOTH), index) for index in range(output.labels.count)]
        # The first table with the name decides: "Cardigan" is a dog, "cardigan" is clothing.
        self._tables = [
            _table(names),
            _table((_normalised(name), index) for name, index in names),
            _table((_normalised(part), index) for name, index in names for part in _synonyms(name)),
        ]
        self._synsets = _synsets() if is_imagenet_1k(output.labels) else {}

    def find(self, name: str) -> int:
        """Return the index of the class called `name`; raise UnknownClass.

        Labels take precedence over indices, because a model's labels may be numbers.
        """
        found = self._candidates(name)
        main = sorted(found & self._main)
        if len(main) > 1:
            raise UnknownClass(f"matches the classes {', '.join(map(str, main))}: use one of these numbers")
        if main:
            return main[0]
        if found:
            raise UnknownClass("an attribute of the model, not one of its main classes")
        synset = self.synset(name)
        raise UnknownClass(f"{synset} is not in ImageNet-1k" if synset else "the model has no such class")

    def synset(self, file_name: str) -> str:
        """Return the synset that `file_name` begins with; "" if there is none or the model is not for ImageNet-1k."""
        found = SYNSET.match(file_name) if self._synsets else None
        return found[0] if found else ""

    def _candidates(self, name: str) -> set[int]:
        for table, key in zip(self._tables, (name, _normalised(name), _normalised(name)), strict=True):
            if found := table.get(key):
                return found
        if name.isascii() and name.isdecimal() and len(name) <= MAX_DIGITS:
            return {int(name)} if int(name) < self._count else set()
        synset = self.synset(name)
        return {self._synsets[synset]} if synset in self._synsets else set()


def is_imagenet_1k(labels: Labels) -> bool:
    """Tell whether a model's English labels are those of ImageNet-1k in their order.

    Synonyms after a comma are ignored, and a share of MIN_AGREEMENT equal labels is enough.
    """
    imagenet, english = _lines("imagenet-1k.en.txt"), labels.names.get("en", ())
    if len(english) != len(imagenet):
        return False
    equal = sum(_first_name(ours) == _first_name(theirs) for ours, theirs in zip(imagenet, english, strict=True))
    return equal >= MIN_AGREEMENT * len(imagenet)


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
    """Yield each name in a label such as "tench, Tinca tinca"; nothing for a label of one name."""
    yield from name.split(",") if "," in name else ()


def _first_name(label: str) -> str:
    return _normalised(label.split(",")[0])


def _normalised(name: str) -> str:
    """Return `name` without differences of case, separators and Unicode compatibility forms."""
    return SEPARATORS.sub("", unicodedata.normalize("NFKC", name).casefold())
