"""Order labels by their indices, which may start at 0 or 1, and must be those of all classes."""

from collections import Counter

from worker.contract.toml_reader import abbreviate

Entries = list[tuple[int, str]]  # index and label
LISTED = 5  # indices in a message


def is_complete(entries: Entries) -> bool:
    """Return whether the indices are 0 to N - 1 or 1 to N, each once, in any order."""
    indices = sorted(index for index, _ in entries)
    return bool(indices) and indices[0] in (0, 1) and indices == [*range(indices[0], indices[0] + len(indices))]


def ordered(entries: Entries, classes: int) -> tuple[list[str], list[str]]:
    """Return the labels of `entries` by index, and notes on what was done.

    `classes` is the number of the network's outputs, 0 if it is unknown. Raise ValueError if an index is missing or
    repeated.
    """
    ranked = sorted(entries, key=lambda entry: entry[0])
    if not is_complete(entries):
        raise ValueError(_fault([index for index, _ in ranked]))
    first, last = ranked[0][0], ranked[-1][0]
    if first == 1 and classes == last + 1:
        raise ValueError(
            f"found labels of the classes 1 to {last}, the network has {classes} outputs: "
            "add the label of class 0, such as background"
        )
    notes = [f"the indices from {first} to {last} are taken as 0 to {last - first}"] if first else []
    if ranked != entries:
        notes.append("the labels are ordered by their indices")
    return [label for _, label in ranked], notes


def _fault(indices: list[int]) -> str:
    if repeated := [str(index) for index, times in Counter(indices).items() if times > 1]:
        return f"found index {abbreviate(repeated, LISTED)} more than once, needed each index once: correct the file"
    first = min(indices[0], 1)
    missing = [str(index) for index in range(first, indices[-1]) if index not in {*indices}] if first >= 0 else []
    if not missing:
        return f"found indices from {indices[0]}, needed them from 0 or 1: correct the file"
    return (
        f"found {len(indices)} labels with indices up to {indices[-1]}, but none for {abbreviate(missing, LISTED)}: "
        "add a label for each of the network's classes"
    )
