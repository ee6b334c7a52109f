"""Replace all workers of one model by workers of another while clients send requests, in every SideBySide runtime.

The new workers start on the same cores as the old ones. Once all of them are in rotation, the gateway sends requests to
them instead; once the old ones have no request left, they are stopped. Any failure before `commit` has returned brings
back the old workers.
"""

import contextlib
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.base.http import get
from scripts.base.waiting import wait_until
from scripts.runtimes.deployment import Deployment
from scripts.runtimes.preflight import memory_faults
from scripts.runtimes.runtime import SideBySide

SWITCH_TIMEOUT_S = 60  # the gate reads its list once a second, and lets some seconds pass between two reloads of Nginx
SHUTTING_DOWN = "shutting down"  # in the title of an Nginx worker process that a reload has replaced
Files = Mapping[str, str]


@dataclass(frozen=True)
class Swap:
    """The change from deployment `old` to `new`, where model `entering` replaces `leaving`; `both` serves the two."""

    leaving: str
    entering: str
    old: Deployment
    both: Deployment
    new: Deployment

    def workers(self, model: str) -> list[str]:
        return [worker.name for worker in self.both.plan.workers if worker.model == model]


def plan_swap(leaving: str, entering: str, old: Deployment, new: Deployment) -> Swap:
    """Return the swap of `leaving` for `entering`; raise CommandError if the two models cannot serve at once."""
    old_others, new_others = (
        [(worker, ports.get(worker.name)) for worker in workers if worker.model not in (leaving, entering)]
        for workers, ports in ((old.plan.workers, old.ports), (new.plan.workers, new.ports))
    )
    alternative = (
        f"replace {leaving} with {entering} in {old.cluster.source} and run `make up`, which stops all workers first"
    )
    if old_others != new_others:
        others = ", ".join(model.name for model in old.cluster.models if model.name != leaving)
        raise CommandError(
            f"{entering} needs other slots than {leaving}, which would move the workers of {others}: {alternative}"
        )
    added = [worker for worker in new.plan.workers if worker.model == entering]
    models = (*old.cluster.models, *(model for model in new.cluster.models if model.name == entering))
    both = replace(
        new,
        cluster=replace(old.cluster, models=models),
        models={**old.models, **new.models},
        plan=replace(old.plan, workers=(*old.plan.workers, *added)),
        ports={**new.ports, **old.ports},
    )
    if faults := memory_faults(both.plan, both.hardware, both.models, both.cluster.settings):
        raise CommandError(*faults, f"needed to run {leaving} and {entering} at the same time; or {alternative}")
    return Swap(leaving, entering, old, both, new)


def execute(runtime: SideBySide, swap: Swap, commit: Callable[[], None]) -> None:
    """Replace the workers; call `commit` to make the swap permanent once the gateway sends nothing to the old ones.

    If anything fails or interrupts it before `commit` has returned, bring back the old workers, then raise
    CommandError with the reason, or the interruption.
    """
    runtime.build_artifacts(swap.both)
    before, during, after = (runtime.render(deployment) for deployment in (swap.old, swap.both, swap.new))
    run = swap.old.run
    with _sigterm_as_interrupt():
        try:
            run.write(during)
            _start_entering(runtime, swap)
            processes = runtime.gateway(run).keys()
            _switch_traffic(runtime, swap.old, after, swap.leaving)
            commit()
        except BaseException as error:  # KeyboardInterrupt, too
            _roll_back(runtime, swap, before)
            if isinstance(error, CommandError):
                notice = f"{swap.leaving} is still being served; nothing was changed"
                raise CommandError(*error.lines, notice) from error
            raise
        try:
            _wait_finished(runtime, swap.old, processes)
        finally:
            step(f"stopping {swap.leaving}: requests in flight are answered first")
            runtime.remove(run, swap.workers(swap.leaving))
            run.write(after)


def _start_entering(runtime: SideBySide, swap: Swap) -> None:
    for worker in swap.workers(swap.entering):
        step(f"starting {worker} alongside {swap.leaving}")
        runtime.start(swap.old.run, worker)
        runtime.wait(swap.both, [worker])


def _roll_back(runtime: SideBySide, swap: Swap, before: Files) -> None:
    """Bring back the old workers; warn of each step that fails, and take the next one."""
    run, workers = swap.old.run, swap.workers(swap.entering)
    with _uninterrupted():
        steps: list[Callable[[], None]] = [
            lambda: _switch_traffic(runtime, swap.old, before, swap.entering),
            lambda: _wait_finished(runtime, swap.old, ()),
            lambda: runtime.remove(run, workers),
            lambda: run.write(before),
        ]
        for undo in steps:
            try:
                undo()
            except CommandError as error:
                for line in error.lines:
                    warn(line)


def _switch_traffic(runtime: SideBySide, deployment: Deployment, files: Files, removed: str) -> None:
    """Give the gate the list of workers in `files`; return once the Nginx that answers has no model `removed`."""
    step(f"switching the gateway away from {removed}")
    deployment.run.write({runtime.members: files[runtime.members]})

    def is_removed() -> bool:
        code, _ = get(f"{deployment.endpoint}/v2/models/{removed}/ready", key=deployment.key)
        _, status = get(f"{deployment.endpoint}/status", key=deployment.key)
        return code == 404 and removed not in [worker["model"] for worker in status.get("workers", [])]

    if not wait_until(is_removed, SWITCH_TIMEOUT_S):
        raise CommandError(
            f"the gateway still sends requests to {removed} after {SWITCH_TIMEOUT_S} seconds; see `make logs`"
        )


def _wait_finished(runtime: SideBySide, deployment: Deployment, before: Collection[int]) -> None:
    """Return once the Nginx processes `before` the last reload have ended: each may still have requests in flight.

    worker_shutdown_timeout in nginx.conf bounds the wait.
    """

    def is_finishing() -> bool:
        return any(pid in before or SHUTTING_DOWN in title for pid, title in runtime.gateway(deployment.run).items())

    if is_finishing():
        say("   waiting for requests in flight")
    wait_until(lambda: not is_finishing(), interval_s=0.2)


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt in the body, as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM in the body."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
