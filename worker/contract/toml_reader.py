"""Read a TOML table strictly: check types, refuse unknown keys, and raise all faults together."""

from collections.abc import Iterable
from typing import Any, TypeVar

from worker.contract import languages

Number = TypeVar("Number", int, float)
MAX_DESCRIPTION_CHARACTERS = 500  # characters; it is part of every health check's answer


class ModelError(Exception):
    """A model folder that cannot be served; one line per fault, each with its path and remedy."""


def abbreviate(names: Iterable[str], limit: int = 8) -> str:
    """Return the first `limit` names as text for a message, with the number of the others."""
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return ", ".join(listed[:limit]) + more


class TomlReader:
    """One table of a TOML file, whose keys are each read once.

    A method records a fault and returns a stand-in if the value is missing or wrong. Subtables share the list of
    faults; call `raise_faults` after the last read.
    """

    def __init__(self, table: dict[str, object], source: str, path: str = "", faults: list[str] | None = None) -> None:
        self._table = dict(table)
        self._source, self._path = source, path
        self._faults: list[str] = [] if faults is None else faults
        self._subtables: list[TomlReader] = []

    def has(self, key: str) -> bool:
        return key in self._table

    def keys(self) -> set[str]:
        """Return the keys that were not read yet."""
        return {*self._table}

    def fault(self, key: str, what: str) -> None:
        where = f"{self._path}{key}".rstrip("/")
        self._faults.append(f"{self._source}: {where}: {what}" if where else f"{self._source}: {what}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if isinstance(value, str) and (value or default == ""):
            return value
        return self._refuse(key, value, "a string", "")

    def flag(self, key: str) -> bool:
        """Return a boolean; False if the key is missing."""
        value = self._take(key, False)
        return value if isinstance(value, bool) else self._refuse(key, value, "true or false", False)

    def choice(self, key: str, choices: Iterable[str]) -> str:
        value = self._take(key, None)
        if value in (known := tuple(choices)):
            return str(value)
        return self._refuse(key, value, f"one of {', '.join(known)}", known[0])

    def number(self, key: str, kind: type[Number], default: Number | None = None) -> Number:
        value = self._take(key, default)
        if _is_number(value, kind):
            return kind(value)
        return self._refuse(key, value, "a whole number" if kind is int else "a number", kind(0))

    def word(self, key: str, word: str) -> bool:
        """Return whether the value is `word`; only then is the key read."""
        return self._table.get(key) == word and bool(self._take(key, None))

    def numbers(self, key: str, kind: type[Number], length: int | None, otherwise: str = "") -> tuple[Number, ...]:
        """Return a list of `length` numbers, or of one or more if `length` is None.

        A fault also names the word that could be there `otherwise`.
        """
        value = self._take(key, None)
        good = isinstance(value, list) and all(_is_number(item, kind) for item in value)
        if good and (len(value) == length if length else value):
            return tuple(kind(item) for item in value)
        what = f"a list of {length or 'one or more'} {'whole numbers' if kind is int else 'numbers'}"
        what += f", or {otherwise}" if otherwise else ""
        return self._refuse(key, value, what, (kind(1),) * (length or 1))

    def sides(self, key: str) -> int | tuple[int, int]:
        """Return a whole number, or a list of two."""
        value = self._take(key, None)
        if _is_number(value, int):
            return int(value)
        if isinstance(value, list) and len(value) == 2 and all(_is_number(side, int) for side in value):
            return value[0], value[1]
        return self._refuse(key, value, "a whole number or a list of 2", 1)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of one or more strings."""
        value = self._take(key, None)
        if isinstance(value, list) and value and all(isinstance(item, str) and item for item in value):
            return tuple(value)
        return self._refuse(key, value, "a list of one or more strings", ())

    def description(self, key: str, max_characters: int = MAX_DESCRIPTION_CHARACTERS) -> dict[str, str]:
        """Return texts by language, {} if the key is missing; a plain text is English."""
        value = self._take(key, {})
        texts = {"en": value} if isinstance(value, str) else value
        if not isinstance(texts, dict) or not all(isinstance(text, str) and text for text in texts.values()):
            return self._refuse(key, value, f"a string, or a table [{key}] with one for each language", {})
        for language, text in texts.items():
            if fault := languages.fault(language):
                self.fault(f"{key}/{language}", fault)
            if len(text) > max_characters:
                self.fault(
                    f"{key}/{language}", f"has {len(text)} characters, at most {max_characters} are allowed; shorten it"
                )
        return texts

    def table(self, key: str) -> "TomlReader":
        value = self._take(key, None)
        if not isinstance(value, dict):
            value = self._refuse(key, value, f"a table, [{self._path.replace('/', '.')}{key}]", {})
        return self._subtable(value, f"{key}/")

    def tables(self, key: str) -> list["TomlReader"]:
        value = self._take(key, None)
        if not (isinstance(value, list) and value and all(isinstance(row, dict) for row in value)):
            value = self._refuse(key, value, f"one or more tables, [[{self._path.replace('/', '.')}{key}]]", [])
        return [self._subtable(row, f"{key}/{number}/") for number, row in enumerate(value)]

    def remaining(self) -> dict[str, object]:
        """Return all keys that were not read yet with their values, for a table with free keys."""
        table, self._table = self._table, {}
        return table

    def raise_faults(self) -> None:
        """Raise ModelError if this table or a subtable has a fault, unknown keys included."""
        self._refuse_unknown()
        if self._faults:
            raise ModelError("\n".join(self._faults))

    def _subtable(self, table: dict[str, object], path: str) -> "TomlReader":
        subtable = TomlReader(table, self._source, self._path + path, self._faults)
        self._subtables.append(subtable)
        return subtable

    def _refuse_unknown(self) -> None:
        for key in self._table:
            self.fault(key, "is not a known key; remove it or correct its spelling")
        for subtable in self._subtables:
            subtable._refuse_unknown()

    def _take(self, key: str, default: object) -> Any:
        return self._table.pop(key, default)

    def _refuse(self, key: str, value: object, needed: str, placeholder: Any) -> Any:
        """Record the fault and return a stand-in, so that reading goes on and finds the other faults."""
        self.fault(key, f"needs {needed}, found {'nothing' if value is None else repr(value)}")
        return placeholder


def _is_number(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (kind is float and isinstance(value, float))
