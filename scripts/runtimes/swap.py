"""Replacing all workers of one model by workers of another while clients go on asking: the same in every runtime.

The new workers come up beside the old ones, on their own slots' cores. Only when all of them are in rotation does the
gateway send to them instead, and only when nothing is on its way to the old ones any more are those stopped. Until
`commit` has returned everything goes back to the old ones, whatever happens.
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

TAKEN_UP_S = 60  # the gate looks once a second, and leaves Nginx some seconds between two reloads
FINISHING = "shutting down"  # in the title of an Nginx process of before a reload
Files = Mapping[str, str]


@dataclass(frozen=True)
class Swap:
    """From the deployment `old` to `new`, which has the model `entering` in place of `leaving`; `both` has the two."""

    leaving: str
    entering: str
    old: Deployment
    both: Deployment
    new: Deployment

    def workers(self, model: str) -> list[str]:
        return [worker.name for worker in self.both.plan.workers if worker.model == model]


def plan_swap(leaving: str, entering: str, old: Deployment, new: Deployment) -> Swap:
    """Raises CommandError where the two models cannot serve beside each other."""
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
    """Replace the workers; `commit` makes it last once nobody is sent to the old ones.

    Raises CommandError with the reason, and whatever interrupts it, after everything has gone back.
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
        except BaseException as fault:  # Ctrl-C, too
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
    """As far as it can be done: what is refused is said, and the rest is done."""
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
    """Give the gate the list of `files`; returns once an Nginx answers that knows no model `forgotten`."""
    step(f"the gateway leaves {forgotten}")
    deployment.run.write({runtime.members: files[runtime.members]})

    def is_forgotten() -> bool:
        code, _ = get(f"{deployment.endpoint}/v2/models/{forgotten}/ready")
        _, status = get(f"{deployment.endpoint}/status")
        return code == 404 and forgotten not in [worker["model"] for worker in status.get("workers", [])]

    if not wait_until(is_forgotten, TAKEN_UP_S):
        raise CommandError(f"the gateway still sends to {forgotten} after {TAKEN_UP_S} seconds; see `make logs`")


def _wait_finished(runtime: SideBySide, deployment: Deployment, before: Collection[int]) -> None:
    """Return once no Nginx process of `before` the last reload is left: each may have requests still to pass on.

    nginx.conf's worker_shutdown_timeout bounds that.
    """

    def finishing() -> bool:
        return any(pid in before or FINISHING in title for pid, title in runtime.gateway(deployment.run).items())

    if finishing():
        say("   waiting for what is on its way")
    wait_until(lambda: not finishing(), every_s=0.2)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends what is inside as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Neither Ctrl-C nor SIGTERM ends what is inside."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
