"""Compare what several models answered to the same images. Pure, but for reading and writing their answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.models.tools.evaluate.statistics import Paired

NO_CLASS = -1  # of a class that the first model does not have


@dataclass(frozen=True)
class Answered:
    """What a model answered: to each image, by name, its file, true class, answered class and score."""

    model: str
    version: str
    runs: str  # by what it runs
    labels: Mapping[str, Sequence[str]]
    images: Mapping[str, tuple[str, int, int, float]]

    def label(self, index: int) -> str:
        """Return the label of a class in all the model's languages."""
        return " ".join(dict.fromkeys(lines[index] for lines in self.labels.values()))


@dataclass(frozen=True)
class Pair:
    """Two models, by position, and their answers: `same` are images that get the same class from both."""

    first: int
    second: int
    paired: Paired
    same: int


@dataclass(frozen=True)
class Comparison:
    """The models, the images that all of them answered, and every pair of models."""

    models: Sequence[Answered]
    names: Sequence[str]
    source: str
    pairs: Sequence[Pair]

    def right(self, model: Answered) -> int:
        """Return how many of the images `model` answers rightly."""
        return sum(model.images[name][1] == model.images[name][2] for name in self.names)

    def left_out(self, model: Answered) -> int:
        """Return how many images `model` answered and another did not, or has no class for."""
        return len(model.images) - len(self.names)

    def differing(self) -> list[str]:
        """Return the images that some models answer rightly and others do not."""
        outcomes = {name: {each.images[name][1] == each.images[name][2] for each in self.models} for name in self.names}
        return [name for name, found in outcomes.items() if len(found) > 1]


def write(path: Path, answered: Answered) -> None:
    path.write_text(json.dumps(asdict(answered)), encoding="utf-8")


def read(path: Path) -> Answered:
    values = json.loads(path.read_text(encoding="utf-8"))
    images = {name: tuple(answer) for name, answer in values.pop("images").items()}
    return Answered(**values, images=images)


def compare(models: Sequence[Answered], source: str) -> Comparison:
    """Return the comparison on the images that all `models` answered; raise CommandError if there are none."""
    names = [name for name in models[0].images if all(name in each.images for each in models)]
    if not names:
        listed = ", ".join(each.model for each in models)
        raise CommandError(
            f"IMAGES: {source}: found no image that all of {listed} answer, needed images of classes that all of them "
            "have"
        )
    classes = [_classes(each, models[0]) for each in models]
    pairs = [_pair(models, classes, names, first, second) for first, second in combinations(range(len(models)), 2)]
    return Comparison(models, names, source, pairs)


def _pair(
    models: Sequence[Answered], classes: Sequence[Mapping[int, int]], names: Sequence[str], first: int, second: int
) -> Pair:
    counts = {(one, other): 0 for one in (True, False) for other in (True, False)}
    same = 0
    for name in names:
        (_, truth, one, _), (_, other_truth, other, _) = models[first].images[name], models[second].images[name]
        counts[one == truth, other == other_truth] += 1
        found = classes[first].get(one, NO_CLASS)
        # Two right answers are the same, even where the models' labels have no word in common.
        same += (one == truth and other == other_truth) or (found != NO_CLASS and found == classes[second].get(other))
    paired = Paired(counts[True, True], counts[True, False], counts[False, True], counts[False, False])
    return Pair(first, second, paired, same)


def _classes(model: Answered, reference: Answered) -> dict[int, int]:
    """Return the class of `reference` for each class of `model` that has the same label in a language of both."""
    found: dict[int, int] = {}
    for language in model.labels.keys() & reference.labels.keys():
        indices = {label: index for index, label in enumerate(reference.labels[language])}
        found |= {index: indices[label] for index, label in enumerate(model.labels[language]) if label in indices}
    return found
