"""Change a running service without losing a request, in every SideBySide runtime: find what differs, and replace that.

states.py reads what runs and what should, change.py plans the steps between, transition.py takes them.
"""

from collections.abc import Callable
from pathlib import Path

from scripts.base.console import say, step
from scripts.base.errors import CommandError
from scripts.cluster import edit
from scripts.cluster.config import ROOT, Cluster, parse_cluster
from scripts.cluster.hardware import free_memory
from scripts.cluster.models import content_hash, missing_folder_fault
from scripts.host.certificates import SERVED
from scripts.runtimes.change import Members, plan_steps, read_members, uncovered_models
from scripts.runtimes.deployment import Deployment, name_workers
from scripts.runtimes.history import History, Saved
from scripts.runtimes.preflight import room_for
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.side_by_side import SideBySide, State
from scripts.runtimes.states import remember, running, state_of, target, text_of, trust_certificates
from scripts.runtimes.transition import execute
from scripts.runtimes.waiting import gateway_of, wait_in_rotation
from worker.contract import nvidia


def change(
    runtime: SideBySide,
    planned: Deployment,
    force: bool = False,
    renew: bool = False,
    commit: Callable[[], None] = lambda: None,
) -> Deployment:
    """Turn what runs into `planned`; with `renew` replace every worker, with `force` stop what cannot be changed live.

    `commit` makes it permanent. Raise CommandError, and leave all as it was, if a new worker does not become ready, or
    if something would stop without `force`.
    """
    run, cluster, listed = planned.run, planned.cluster, runtime.listed(planned.run)
    runtime.build_artifacts(planned)  # first: their names depend on what could be made
    deployment = runtime.place(name_workers(planned, listed))
    after = target(runtime, deployment)
    before = running(runtime, run, cluster, after.files)
    changed = [name for name, member in before.members.items() if renew or after.members.get(name) != member]
    if changed or after.members.keys() - before.members.keys():
        # The state before the present one stays the previous one only if nothing but processes changes.
        kept = _previous_members(runtime, run) if renew else {}
        deployment = runtime.place(name_workers(planned, before.members, changed, kept), kept)
        after = target(runtime, deployment)
    runtime.remove(run, runtime.workers(run) - before.members.keys())  # an interrupted command left them
    go = _way(runtime, deployment, before, after, force)
    History(run).leave_for(text_of(cluster))
    if runtime.write_secrets(cluster, run):
        step("keys or the certificate changed: the gateway loads them, and keeps its connections")
    if (before.files, before.members) == (after.files, after.members):
        step("already running")
        commit()
        wait_in_rotation(gateway_of(cluster), after.members, runtime.watch(run, [*after.members]))
    else:
        go(commit)
    remember(runtime, run, after, before, renew)
    return deployment


def require_unchanged(runtime: SideBySide, planned: Deployment) -> None:
    """Raise CommandError if what runs differs from `planned`."""
    run, cluster = planned.run, planned.cluster
    after = target(runtime, runtime.place(name_workers(planned, runtime.listed(run))))
    before = running(runtime, run, cluster, after.files)
    if (before.files, before.members) != (after.files, after.members):
        raise CommandError(f"{run.path}: the running service differs from {cluster.source}: run `make up` first")


def roll_back(runtime: SideBySide, cluster: Cluster, run: RunDir, force: bool) -> None:
    """Bring back the state before the last change, and the text that the file of `cluster` had then.

    Raise CommandError, and leave all as it is, if there is none, if its models or code are not there any more, or if
    something would stop without `force`.
    """
    saved, path = History(run).previous, ROOT / cluster.source
    if saved is None:
        raise CommandError(f"{run.path}: found no state before the present one, needed one that `make up` changed")
    if (saved.runtime, saved.source) != (runtime.name, str(path)):
        raise CommandError(
            f"{run.path}: the state before ran under {saved.runtime} from {saved.source}, needed {runtime.name} and "
            f"{path}: set RUNTIME= and CLUSTER= as they were"
        )
    if faults := [*_changed_models(saved), *runtime.unrestorable(saved.files)]:
        raise CommandError(*faults)
    text = text_of(cluster)
    former = cluster if saved.text is None else parse_cluster(saved.text, cluster.source)
    before, after = running(runtime, run, cluster, saved.files), state_of(runtime, former, saved.files)
    deployment = runtime.plan(former, run)
    runtime.build_artifacts(deployment)
    go = _way(runtime, deployment, before, after, force)
    History(run).leave_for(text if saved.text is None else saved.text)
    runtime.write_secrets(former, run)

    def restore_text() -> None:
        if saved.text not in (None, text):
            kept = History(run).keep_text(text)
            edit.replace_text(path, text, saved.text or "")
            say(f"{cluster.source} is what it was; the text that it had until now is in {kept}")

    go(restore_text)
    History(run).keep(saved)


def _way(
    runtime: SideBySide, deployment: Deployment, before: State, after: State, force: bool
) -> Callable[[Callable[[], None]], None]:
    """Return what goes from `before` to `after`, a state of `deployment`, and calls its argument to make it permanent.

    Raise CommandError, with nothing changed, if something would stop without `force`.
    """
    run = deployment.run
    trust_certificates(run, [before.cluster, after.cluster])
    steps = plan_steps(before.members, after.members, _room(deployment, before, after))
    interruptions = runtime.interruptions(before.files, after)
    without = uncovered_models(_in_rotation(before), after.members, steps)
    lines = [*interruptions, *(f"{model}: found no memory for a new worker beside its only one" for model in without)]
    if lines and not force:
        raise CommandError(*lines, "this stops what serves until the new workers are ready: FORCE=1 does it")

    def go(commit: Callable[[], None]) -> None:
        if interruptions:
            runtime.restart(run, before, after)
            commit()
        else:
            execute(runtime, run, before, after, steps, commit)
        if not after.cluster.tls.enabled:
            (run.path / SERVED).unlink(missing_ok=True)

    return go


def _previous_members(runtime: SideBySide, run: RunDir) -> Members:
    """Return the workers of the state before the present one, whose names and addresses stay free for a rollback."""
    previous = History(run).previous
    return read_members(previous.files.get(runtime.members, ""), {}) if previous else {}


def _changed_models(saved: Saved) -> list[str]:
    """Return a line for each model folder that is not what served."""
    faults = []
    for folder, digest in saved.models.items():
        if missing := missing_folder_fault(Path(folder)):
            faults.append(missing)
            continue
        try:
            found = content_hash(Path(folder))
        except OSError as error:
            found = str(error.strerror)
        if found != digest:
            faults.append(
                f"{folder}: found other files than those that served until {saved.at}: put them back, or name another "
                "folder in the cluster file and run `make up`"
            )
    return faults


def _room(deployment: Deployment, before: State, after: State) -> int:
    """Return for how many of the workers that start the memory that is free now suffices."""
    slots = {member.slot for name, member in after.members.items() if before.members.get(name) != member}
    starting = [worker for worker in deployment.plan.workers if worker.slot.name in slots]
    on_gpu = any(worker.slot.gpu for worker in starting)
    gpus = nvidia.parse_memory(nvidia.smi(*nvidia.MEMORY_QUERY)) if on_gpu else {}
    return room_for(starting, deployment.models, deployment.cluster.settings, free_memory(), gpus)


def _in_rotation(state: State) -> Members:
    status = gateway_of(state.cluster).status()
    serving = {report["worker"] for report in status.get("workers", []) if report["in"]}
    return {name: member for name, member in state.members.items() if name in serving}
