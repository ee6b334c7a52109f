"""Find images that are the same or nearly so: they must not be on both sides of a comparison, or in two classes."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scripts.models.tools.evaluate.dataset import SkippedFile
from scripts.models.tools.teach.head import unit
from scripts.models.tools.teach.images import Example, Lesson

NEAR_BITS = 10  # of 256 in which the fingerprints of nearly equal images may differ
NEAR_COSINE = 0.95  # of the features of nearly equal images, at least
MIN_GROUPS = 2  # of each class: one to learn from, another to check it on
MAX_COMPARED = 20_000  # images up to which each is compared with each other
ROWS = 2_000  # images compared with all at once


def leave_out_copies(lesson: Lesson) -> None:
    """Leave out of `lesson` the copies of an image: all but one, or all of them if they are in several classes.

    Of copies among what is learned and what is held out, the learned one stays.
    """
    by_digest: dict[str, list[Example]] = {}
    for example in lesson.examples:
        by_digest.setdefault(example.digest, []).append(example)
    kept, skipped, same = set[Example](), list[SkippedFile](), list[SkippedFile]()
    for copies in by_digest.values():
        first, *others = sorted(copies, key=lambda one: one.held_out)
        if other := next((one for one in others if one.truth != first.truth), None):
            skipped += [
                SkippedFile(one.name, f"the same image is in two classes: {first.name} and {other.name}: remove one")
                for one in copies
            ]
        else:
            kept.add(first)
            same += [SkippedFile(one.name, f"the same image as {first.name}") for one in others]
    lesson.keep([one for one in lesson.examples if one in kept], skipped, same)


def groups(fingerprints: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the group of each image, int [N]: nearly equal ones share theirs.

    `fingerprints` are uint8 [N, bytes], `features` float32 [N, D]: plain images have the same fingerprint, whatever
    their colour. Beyond MAX_COMPARED images each is its own group.
    """
    count = len(fingerprints)
    if count > MAX_COMPARED:
        return np.arange(count)
    signs = np.unpackbits(fingerprints, axis=1).astype(np.float32) * 2 - 1
    directions = unit(features)
    enough = signs.shape[1] - 2 * NEAR_BITS  # of the product of two rows of signs
    pairs = []
    for start in range(0, count, ROWS):
        rows, columns = np.nonzero(signs[start : start + ROWS] @ signs.T >= enough)
        alike = np.einsum("nd,nd->n", directions[rows + start], directions[columns]) >= NEAR_COSINE
        pairs.append(np.stack([rows[alike] + start, columns[alike]]))
    rows, columns = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
    found: np.ndarray = connected_components(graph, directed=False)[1]
    return found


def learned_together(group: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the `group` of each image, int [N], divided by its class `truth`.

    Where all images of a class are nearly equal, each is its own: a class needs two to be cross-validated.
    """
    _, divided = np.unique(np.stack([group, truth]), axis=1, return_inverse=True)
    own = divided.max() + 1 + np.arange(len(truth))
    for index in np.unique(truth):
        if len(np.unique(divided[truth == index])) < MIN_GROUPS:
            divided[truth == index] = own[truth == index]
    return divided


def leave_out_leaked(lesson: Lesson, group: np.ndarray) -> tuple[np.ndarray, list[tuple[Example, Example]]]:
    """Leave out of `lesson` the held-out images of which a nearly equal one is learned.

    Return the `group` of each image that stays, int [N], and the pairs of the learned and the held-out image.
    """
    learned: dict[int, Example] = {}
    for one, number in zip(lesson.examples, group.tolist(), strict=True):
        if not one.held_out:
            learned.setdefault(number, one)
    leaks = np.array([one.held_out and number in learned for one, number in zip(lesson.examples, group, strict=True)])
    pairs = [(learned[int(group[each])], lesson.examples[each]) for each in np.flatnonzero(leaks)]
    lesson.keep([one for one, leaked in zip(lesson.examples, leaks, strict=True) if not leaked])
    return group[~leaks], pairs


def near_pairs(examples: Sequence[Example], group: np.ndarray) -> list[tuple[Example, Example]]:
    """Return the nearly equal images of different classes, each with the first of its `group`."""
    first: dict[int, Example] = {}
    pairs = []
    for example, number in zip(examples, group.tolist(), strict=True):
        other = first.setdefault(number, example)
        if other.truth != example.truth:
            pairs.append((other, example))
    return pairs
