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

TAKEN_UP_S = 60  # the gate reads its list once a second, and lets some seconds pass between two reloads of Nginx
FINISHING = "shutting down"  # in the title of an Nginx worker process that a reload has replaced
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
    staying, kept = (
        [(worker, one.ports.get(worker.name)) for worker in one.plan.workers if worker.model not in (leaving, entering)]
        for one in (old, new)
    )
    by_hand = f"write {entering} into {old.cluster.source} in place of {leaving} and `make up`, which stops all first"
    if staying != kept:
        others = ", ".join(model.name for model in old.cluster.models if model.name != leaving)
        raise CommandError(
            f"{entering} needs other slots than {leaving} and would move the workers of {others}: {by_hand}"
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
    if faults := memory_faults(both.plan, both.hardware, both.models):
        raise CommandError(*faults, f"needed for {leaving} and {entering} beside each other; or {by_hand}")
    return Swap(leaving, entering, old, both, new)


def execute(runtime: SideBySide, swap: Swap, commit: Callable[[], None]) -> None:
    """Replace the workers; call `commit` to make the swap permanent once the gateway sends nothing to the old ones.

    If anything fails or interrupts it before `commit` has returned, bring back the old workers, then raise
    CommandError with the reason, or the interruption.
    """
    runtime.build_artifacts(swap.both)
    before, meanwhile, after = (runtime.render(one) for one in (swap.old, swap.both, swap.new))
    run = swap.old.run
    with _terminated_as_interrupted():
        try:
            run.write(meanwhile)
            _start_entering(runtime, swap)
            processes = runtime.gateway(run).keys()
            _switch_traffic(runtime, swap.old, after, swap.leaving)
            commit()
        except BaseException as fault:  # KeyboardInterrupt, too
            _roll_back(runtime, swap, before)
            if isinstance(fault, CommandError):
                raise CommandError(*fault.lines, f"{swap.leaving} serves on; nothing was changed") from fault
            raise
        try:
            _wait_finished(runtime, swap.old, processes)
        finally:
            step(f"stopping {swap.leaving}: what is in flight is answered first")
            runtime.remove(run, swap.workers(swap.leaving))
            run.write(after)


def _start_entering(runtime: SideBySide, swap: Swap) -> None:
    for worker in swap.workers(swap.entering):
        step(f"starting {worker} beside {swap.leaving}")
        runtime.start(swap.old.run, worker)
        runtime.wait(swap.both, [worker])


def _roll_back(runtime: SideBySide, swap: Swap, before: Files) -> None:
    """Bring back the old workers; warn of each step that fails, and take the next one."""
    run, workers = swap.old.run, swap.workers(swap.entering)
    with _uninterrupted():
        undoing: list[Callable[[], None]] = [
            lambda: _switch_traffic(runtime, swap.old, before, swap.entering),
            lambda: _wait_finished(runtime, swap.old, ()),
            lambda: runtime.remove(run, workers),
            lambda: run.write(before),
        ]
        for undo in undoing:
            try:
                undo()
            except CommandError as refusal:
                for line in refusal.lines:
                    warn(line)


def _switch_traffic(runtime: SideBySide, deployment: Deployment, files: Files, forgotten: str) -> None:
    """Give the gate the list of workers in `files`; return once the Nginx that answers has no model `forgotten`."""
    step(f"the gateway leaves {forgotten}")
    deployment.run.write({runtime.members: files[runtime.members]})

    def is_forgotten() -> bool:
        code, _ = get(f"{deployment.endpoint}/v2/models/{forgotten}/ready")
        _, status = get(f"{deployment.endpoint}/status")
        return code == 404 and forgotten not in [worker["model"] for worker in status.get("workers", [])]

    if not wait_until(is_forgotten, TAKEN_UP_S):
        raise CommandError(f"the gateway still sends to {forgotten} after {TAKEN_UP_S} seconds; see `make logs`")


def _wait_finished(runtime: SideBySide, deployment: Deployment, before: Collection[int]) -> None:
    """Return once the Nginx processes `before` the last reload have ended: each may still have requests in flight.

    worker_shutdown_timeout in nginx.conf bounds the wait.
    """

    def finishing() -> bool:
        return any(pid in before or FINISHING in title for pid, title in runtime.gateway(deployment.run).items())

    if finishing():
        say("   waiting for what is on its way")
    wait_until(lambda: not finishing(), interval_s=0.2)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
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
