"""Parse and format CPU numbers in the kernel's list syntax, such as "0-3,8"."""

import re
from collections.abc import Iterable
from itertools import groupby

MAX_CPUS = 8192  # the largest CONFIG_NR_CPUS of Linux; stops "0-999999999" from filling the memory


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """Return the CPU numbers in `text`, ascending. Raise ValueError if it is not a CPU list."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})(?:-([0-9]{1,4}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last >= MAX_CPUS:
            raise ValueError(f'not a CPU list such as "0-3,8": {text.strip()!r}')
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def format_cpu_list(numbers: Iterable[int]) -> str:
    """Return the shortest CPU list of `numbers`, the inverse of `parse_cpu_list`."""
    parts = []
    for _, group in groupby(enumerate(sorted(numbers)), lambda item: item[1] - item[0]):
        run = [number for _, number in group]
        parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ",".join(parts)
