"""What happens in the Teach view, one thing at a time: an upload, then a teaching or a change of the served model."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.base.console import say
from scripts.base.errors import CommandError
from scripts.models import model_store
from scripts.models.model_store import StoredModel
from scripts.models.verified import is_verified
from scripts.teach_page import library
from scripts.teach_page.errors import Code, Refused
from scripts.teach_page.jobs import DONE, RUNNING, Job
from scripts.teach_page.uploads import Upload, remove_leftovers

ABANDONED_S = 900.0  # after the last request of an upload


@dataclass(frozen=True)
class Place:
    """The files that the commands act on."""

    cluster: Path
    run_dir: Path
    models: Path
    runtime: str = "local"

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return the words of a command of the kit."""
        where = ("--cluster", self.cluster, "--run-dir", self.run_dir, "--runtime", self.runtime)
        return [name, *map(str, where), "--models", str(self.models), *arguments]


@dataclass
class Studio:
    """The state of the Teach view; all methods may be called from several threads at once."""

    place: Place
    upload: Upload | None = None
    job: Job | None = None
    previous: tuple[str, str] | None = None  # the model that was served before, and the one that replaced it
    _lesson: Sequence[str] = ()  # arguments of `make teach`, before the folder of the images
    _used_at: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        remove_leftovers(self.place.models)

    def state(self) -> dict[str, Any]:
        """Return what the view shows."""
        with self._lock:
            upload, job = self.upload, self.job
        return {
            "upload": upload and {"name": upload.name, "images": upload.classes.total(), "bytes": upload.bytes,
                                  "classes": len(upload.classes)},
            "job": job and {"kind": job.kind, "name": job.name, "outcome": job.outcome, "stage": job.stage,
                            "done": job.done, "total": job.total, "faults": job.faults, "summary": job.summary},
            **library.described(*self._library(), self.previous),
        }  # fmt: skip

    def begin(self, name: str, base: str, add: bool, replace: bool) -> None:
        """Begin an upload for a model called `name`, in place of an existing one if `replace`.

        The model `base` will be taught the classes of the upload, or, with `add`, be added to.
        """
        try:
            model_store.check_name(name)
        except CommandError as error:
            raise Refused(Code.BAD_NAME, str(error)) from None
        if base not in {entry.name for entry in self._library()[0]}:
            raise Refused(Code.UNKNOWN, f"found the base {base!r}, needed a model that is there")
        with self._lock:
            self._require_idle()
            if (self.place.models / name).exists() and not replace:
                raise Refused(Code.NAME_TAKEN, f"found a model called {name}, needed another name, or to replace it")
            try:
                self.upload = Upload(self.place.models, name)
            except OSError as error:
                raise Refused(Code.FAILED, f"{error.filename}: {error.strerror}: needed a writable folder") from None
            force = ["--force"] if replace else []
            self._lesson = ["--name", name, "--base", base, *force, "--add" if add else "--images"]
            self.job = None
            self._used_at = time.monotonic()

    def current_upload(self) -> Upload:
        """Return the upload, which counts as used now; raise Refused if there is none."""
        with self._lock:
            if not self.upload:
                raise Refused(Code.NO_UPLOAD, "found no upload, needed one that was begun: begin again")
            self._used_at = time.monotonic()
            return self.upload

    def discard(self) -> None:
        """Throw the upload away; raise Refused while it is being taught."""
        with self._lock:
            if self._is_busy():
                raise Refused(Code.BUSY, "found a command that runs, needed none: stop it, or wait for its end")
            if self.upload:
                self.upload.remove()
                self.upload = None

    def teach(self) -> None:
        """Teach what was uploaded, in the background; the upload is removed at its end."""
        upload = self.current_upload()
        job = Job("teach", upload.name, [self.place.command("teach", *self._lesson, str(upload.images))])

        def end(outcome: str) -> None:
            self._forget(upload)
            if outcome == DONE:
                job.summary = library.summary(self.place.models / upload.name)

        self._start(job, end)

    def use(self, name: str, instead_of: str) -> None:
        """Serve the model `name` in place of `instead_of`, in the background, and verify it first if that is needed."""
        entries, served = self._library()
        old = instead_of or next(iter(served), "")
        known = {entry.name: entry for entry in entries}
        if name not in known or old not in served:
            raise Refused(Code.UNKNOWN, f"found {name!r} instead of {old!r}, needed models that are there")
        verified = is_verified(self.place.models, known[name].folder)
        commands = [] if verified else [self.place.command("model-verify", "--name", name)]
        commands.append(self.place.command("use", "--name", name, "--instead-of", old))

        def end(outcome: str) -> None:
            if outcome == DONE:
                self.previous = (old, name)

        with self._lock:
            self._require_idle()
            self._start(Job("use", name, commands), end)

    def stop(self) -> None:
        """Stop the teaching that runs."""
        with self._lock:
            job = self.job
        if job and job.kind == "teach":
            job.stop()

    def report(self, name: str) -> bytes:
        """Return the report of the taught model `name`; raise Refused if there is none."""
        return library.report(self._library()[0], name)

    def expire(self) -> None:
        """Throw away an upload that nobody goes on with."""
        with self._lock:
            if self.upload and not self._is_busy() and time.monotonic() - self._used_at > ABANDONED_S:
                say(f"   the upload for {self.upload.name} was abandoned")
                self.discard()

    def close(self) -> None:
        """End what runs, and remove the upload."""
        if self.job:
            self.job.stop()
        if self._thread:
            self._thread.join()
        if self.upload:
            self._forget(self.upload)

    def _start(self, job: Job, end: Callable[[str], None]) -> None:
        """Run `job` in the background, then call `end` with its outcome before anybody else sees that."""

        def run() -> None:
            outcome = job.run()
            with self._lock:
                try:
                    end(outcome)
                finally:
                    job.outcome = outcome

        with self._lock:
            if self._is_busy():
                raise Refused(Code.BUSY, f"found that {self.job and self.job.name} is worked on, needed one at a time")
            self.job = job
            self._thread = threading.Thread(target=run, name=job.kind)
            self._thread.start()

    def _is_busy(self) -> bool:
        return self.job is not None and self.job.outcome == RUNNING

    def _require_idle(self) -> None:
        if self.upload or self._is_busy():
            raise Refused(Code.BUSY, "found another upload or command, needed one at a time: finish it, or discard it")

    def _forget(self, upload: Upload) -> None:
        upload.remove()
        self.upload = None

    def _library(self) -> tuple[list[StoredModel], list[str]]:
        return library.read(self.place.cluster, self.place.models)
