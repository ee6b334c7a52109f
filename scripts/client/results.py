"""A results file that is always whole: each row is added by one write, and what was cut off by a kill is cut away."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from scripts.base.errors import CommandError
from scripts.client.rows import Csv, Format, JsonLines, JsonList, NotOurs, Row, row_name
from scripts.client.wanwu_client import Answer, WanwuError

SUFFIXES = (".csv", ".json", ".jsonl")
COPY_SUFFIX = ".new"


def format_of(path: Path, top_k: int) -> Format:
    """Return the format that the suffix of `path` says; raise CommandError if it says none."""
    match path.suffix.lower():
        case ".csv":
            return Csv(top_k)
        case ".json":
            return JsonList()
        case ".jsonl":
            return JsonLines()
    raise CommandError(
        f"OUT: found {path.name!r}, needed a name that ends with {', '.join(SUFFIXES)}: set OUT=results.csv"
    )


class Results:
    """The results file at `path`, which is created or continued; with `retry`, rows of failed images are dropped.

    A new file without a row is removed at the end.

    Raise CommandError if it cannot be written, is in use, or is not a results file of this form.
    """

    def __init__(self, path: Path, form: Format, retry: bool = False) -> None:
        self.path, self._form = path, form
        try:
            self._is_new = not path.exists()
            self._open()
            if retry and self.failed:
                self._drop_failed()
                self._open()
        except OSError as error:
            raise CommandError(f"{path}: found {error.strerror}, needed a file to write: correct OUT=") from error

    @property
    def answered(self) -> int:
        """Return how many rows have an answer."""
        return len(self._names) - self.failed

    def __contains__(self, name: str) -> bool:
        return row_name(name) in self._names

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        if self._is_new and not self._names:
            self.path.unlink(missing_ok=True)

    def add(self, name: str, result: Answer | WanwuError) -> None:
        """Append the row of an image; raise CommandError if it cannot be written, which leaves the rows before it."""
        data = self._form.separator(not self._names) + self._form.row(name, result)
        try:
            self._write(data + self._form.tail)
        except OSError as error:
            with suppress(OSError):
                self._cut()
            raise CommandError(
                f"{self.path}: found {error.strerror} after {len(self._names)} rows, needed room for the next one: "
                "make room and run the command again"
            ) from error
        self._end += len(data)
        self._names.add(row_name(name))
        self.failed += isinstance(result, WanwuError)

    def _open(self) -> None:
        """Open and lock the file, learn what it holds, and cut off what is not whole."""
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._names, self.failed, self._end = set[str](), 0, len(self._form.head)
            for row in self._rows():
                self._names.add(row.name)
                self.failed, self._end = self.failed + row.failed, row.end
            self._cut()
        except BlockingIOError as error:
            os.close(self._file)
            raise CommandError(
                f"{self.path}: found another command that writes it, needed none: wait for it, or set another OUT="
            ) from error
        except BaseException:
            os.close(self._file)
            raise

    def _rows(self) -> Iterator[Row]:
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            head = file.read(len(self._form.head))
            if not self._form.head.startswith(head):
                needed = self._form.head.decode("utf-8-sig").strip()
                raise self._not_ours(f"found another beginning, needed {needed}")
            if head == self._form.head:
                try:
                    yield from self._form.read(file)
                except NotOurs as error:
                    raise self._not_ours(str(error)) from error

    def _not_ours(self, fault: str) -> CommandError:
        return CommandError(f"{self.path}: {fault}: set another OUT=, or the TOP_K= that it was written with")

    def _drop_failed(self) -> None:
        """Replace the file by a copy without the rows of failed images, and close it."""
        whole = self.path.resolve()
        copy = whole.with_name(whole.name + COPY_SUFFIX)
        try:
            with copy.open("wb") as out:
                shutil.copymode(whole, copy)
                out.write(self._form.head)
                first = True
                for row in self._rows():
                    if not row.failed:
                        out.write(self._form.separator(first) + row.data)
                        first = False
                out.write(self._form.tail)
            copy.replace(whole)
        except OSError:
            with suppress(OSError):
                copy.unlink()
            raise
        finally:
            os.close(self._file)

    def _cut(self) -> None:
        """Cut off all after the last whole row, and write the tail, and the head if there is no row."""
        if self._end == len(self._form.head):
            os.pwrite(self._file, self._form.head, 0)
        os.ftruncate(self._file, self._end)
        self._write(self._form.tail)

    def _write(self, data: bytes) -> None:
        start = self._end
        while data:
            written = os.pwrite(self._file, data, start)
            start, data = start + written, data[written:]
