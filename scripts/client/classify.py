"""`make classify`: send images to the service, as many at once as it has workers, and record what it answers."""

import os
import ssl
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from scripts.base.console import printable, say, warn
from scripts.base.errors import CommandError
from scripts.base.progress import Progress
from scripts.client import images
from scripts.client.direct import DirectTransport
from scripts.client.results import Results, format_of
from scripts.client.rows import error_row
from scripts.client.wanwu_client import (
    Answer,
    Client,
    KeyRefusedError,
    NotReadyError,
    Outcome,
    Parameters,
    UnexpectedAnswerError,
    UnreachableError,
    WanwuError,
)
from scripts.client.watch import Folder

# Errors that every image would meet: the request is wrong, not the image.
FATAL = {
    "bad_parameter",
    "unknown_model",
    "unknown_route",
    "method_not_allowed",
    "refused",
    "unauthorized",
    "forbidden",
}
AWAY = (NotReadyError, UnreachableError, UnexpectedAnswerError)


@dataclass(frozen=True)
class Job:
    """Which images to send where; without `out` the answers are printed."""

    images: str
    out: Path | None
    url: str
    parameters: Parameters
    wait_s: float
    tls: ssl.SSLContext | None = None
    retry: bool = False
    watch: bool = False
    key: str = field(default="", repr=False)


@dataclass
class Run:
    """What has become of the images so far."""

    job: Job
    client: Client
    at_once: int
    results: Results | None
    answered: int = 0
    failures: int = 0
    progress: Progress | None = None

    def send(self, names: Iterable[str], accept: Callable[[str], bool] = lambda _: True) -> None:
        """Send the images and record the outcome of each that is accepted; raise CommandError if none can be answered.

        Raise Away if the service is not there or not ready.
        """
        with closing(self.client.classify_many(names, at_once=self.at_once, **self.job.parameters)) as outcomes:
            for outcome in outcomes:
                if outcome.error:
                    self._stop_if_away(outcome.error)
                if accept(outcome.image):
                    self._record(outcome)

    def end(self) -> None:
        """Print a summary; raise CommandError if an image has failed, in this run or before in the same file."""
        answered, failed = self.answered, self.failures
        where = again = ""
        if self.results:
            answered, failed = self.results.answered, self.results.failed
            where, again = f" in {self.results.path}", "; RETRY=1 sends the failed ones again"
        counted = f"{answered} image{'' if answered == 1 else 's'} answered"
        if failed:
            raise CommandError(f"{counted}, {failed} failed{where}{again}")
        if self.results:
            say(f"{counted}{where}")

    def _record(self, outcome: Outcome[str]) -> None:
        name, error = outcome.image, outcome.error
        if self.results:
            self.results.add(name, error or outcome.answer)  # type: ignore[arg-type]  # one of the two is there
        if self.progress:
            self.progress.advance()
        if error:
            self.failures += 1
            if self.progress:
                self.progress.clear()
            described = error_row(error)
            warn(f"{printable(name)}: {described['code']}: {described['message']}")
        elif outcome.answer:
            self.answered += 1
            if not self.progress:
                _print(name, outcome.answer)

    def _stop_if_away(self, error: WanwuError) -> None:
        """Raise CommandError if `error` says that the service, not this image, is the reason."""
        if error.code in FATAL:
            raise CommandError(f"{self.job.url}: {error_row(error)['message']}")
        if isinstance(error, AWAY):
            try:
                if self.client.is_ready(self.job.parameters.get("model")):
                    return
            except WanwuError as now:
                error = now
            kept = f"; the rows so far are in {self.results.path}" if self.results else ""
            raise Away(
                f"{self.job.url}: {error_row(error)['message']}, and waited {self.job.wait_s:g} s{kept}: "
                "start the service and run the same command again"
            )


class Away(CommandError):
    """The service is not there, or not ready, for longer than the command waits."""


def classify(job: Job) -> None:
    """Do the job; raise CommandError if an image fails or the service is away."""
    with ExitStack() as stack:
        form = format_of(job.out, job.parameters.get("top_k") or 1) if job.out else None
        folder = Folder(images.named(job.images)) if job.watch else None
        found = None if folder else images.find(job.images)
        client, at_once = _connect(job)
        stack.callback(client.close)
        results = stack.enter_context(Results(job.out, form, job.retry)) if job.out and form else None
        run = Run(job, client, at_once, results)
        if folder:
            _watch(run, folder)
        elif found:
            found.warn_of_others(job.out)
            _once(run, list(found.images))
        run.end()


def _once(run: Run, names: list[str]) -> None:
    results = run.results
    left = [name for name in names if results is None or name not in results]
    if results and len(left) < len(names):
        say(f"{len(names) - len(left)} of {len(names)} images are in {results.path} already")
    if results and left:
        run.progress = Progress(len(left))
    try:
        run.send(left)
    finally:
        if run.progress:
            run.progress.clear()


def _watch(run: Run, folder: Folder) -> None:
    """Send every image that comes into the folder, until interrupted; while the service is away, wait for it."""
    say(f"watching {', '.join(printable(str(path)) for path in folder.paths)}; Ctrl-C ends it")
    try:
        while True:
            left = []
            for name in folder.complete():
                if run.results and name in run.results:
                    folder.skip(name)
                else:
                    left.append(name)
            try:
                run.send(left, folder.accept)
            except Away as away:
                warn(str(away))
            folder.wait()
    except KeyboardInterrupt:
        return


def _connect(job: Job) -> tuple[Client, int]:
    """Return a client of the service and how many requests it takes at once; raise CommandError if it is not there."""
    try:
        transport = DirectTransport(job.tls)
        client = Client(job.url, key=job.key, transport=transport, retry_for_s=job.wait_s, retry_unreachable=True)
    except ValueError as error:
        raise CommandError(f"{'KEY' if 'a key' in str(error) else 'URL'}: {error}") from error
    model = job.parameters.get("model")
    try:
        served = [one.name for one in client.models()]
        at_once = client.workers(model)
    except UnreachableError as error:
        raise CommandError(f"{error}: start it with `make up`, or set URL=") from error
    except KeyRefusedError as error:
        raise CommandError(f"{job.url}: {error.message}; set the variable WANWU_KEY, or KEY=") from error
    except WanwuError as error:
        raise CommandError(
            f"{job.url}: found something other than this service ({error_row(error)['message']}), needed its address: "
            "correct URL="
        ) from error
    if model and model not in served:
        raise CommandError(f"MODEL: found {model!r}, needed one that is served: choose from {', '.join(served)}")
    return client, at_once


def _print(name: str, answer: Answer) -> None:
    """Print the classes of an image, with tabs between the cells."""
    classes = [cell for one in answer.predictions for cell in (one.label, f"{one.score:.3f}")]
    try:
        say("\t".join([printable(name), *classes]))
    except BrokenPipeError as error:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - what is left at the end is written there
        raise CommandError("standard output: found it closed, needed a reader: set OUT= to write a file") from error
