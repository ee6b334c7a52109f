"""Carry out a change of a running service while clients send requests, in every SideBySide runtime.

New workers start on the slots of the old ones; once they are in rotation, the gateway sends requests to them instead;
once the old ones have no request left, they are stopped. Any failure before `commit` has returned brings back the old
workers and the old gateway.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from scripts.base.console import say, step, warn
from scripts.base.errors import CommandError
from scripts.base.waiting import wait_until
from scripts.runtimes import interrupts
from scripts.runtimes.change import Member, Step, models_of, pool_order, render_members
from scripts.runtimes.run_directory import RunDir
from scripts.runtimes.side_by_side import SideBySide, State
from scripts.runtimes.waiting import gateway_of, wait_in_rotation, wait_listed

RELOAD_S = 60  # at most, until Nginx begins to end its old processes, on a busy machine
SHUTTING_DOWN = "shutting down"  # in the title of an Nginx worker process that a reload has replaced


def execute(
    runtime: SideBySide, run: RunDir, before: State, after: State, steps: Sequence[Step], commit: Callable[[], None]
) -> None:
    """Take `steps` from `before` to `after`; call `commit` to make it permanent once all requests go by `after`.

    If anything fails or interrupts it before `commit` has returned, bring back the old workers, then raise
    CommandError with the reason, or the interruption.
    """
    with interrupts.raised() as check_interrupts:
        transition = _Transition(runtime, run, before, after, check_interrupts)
        try:
            transition.take(steps)
            check_interrupts()
            commit()
        except BaseException as error:  # KeyboardInterrupt, too
            with interrupts.ignored():
                transition.undo()
            if isinstance(error, CommandError):
                served = " and ".join(models_of(before.members))
                raise CommandError(*error.lines, f"{served}: served as before; nothing was changed") from error
            raise
        transition.finish()


class _Transition:
    """The workers that run, on the way from one state to another."""

    def __init__(
        self, runtime: SideBySide, run: RunDir, before: State, after: State, check_interrupts: Callable[[], None]
    ) -> None:
        self.runtime, self.run, self.before, self.after = runtime, run, before, after
        self.check_interrupts = check_interrupts
        self.present = dict(before.members)
        self.gateway = gateway_of(before.cluster)
        self.nginx_before: Collection[int] = ()
        self.served = {*before.members}  # workers that may have requests in flight

    def take(self, steps: Sequence[Step]) -> None:
        """Take the steps, but for the end of those workers that stop last."""
        for each in steps:
            if not each.beside:
                self._leave(each.stopping)
            self._enter({name: self.after.members[name] for name in each.starting})
            if each.beside and each is not steps[-1]:
                self._leave(each.stopping)
        self.nginx_before = self.runtime.gateway(self.run).keys()
        self._switch(self.after)

    def finish(self) -> None:
        """Stop the workers that get no requests any more."""
        try:
            self._remove(self.present.keys() - self.after.members.keys(), self.nginx_before)
        finally:
            self.run.write(self.after.files)

    def undo(self) -> None:
        """Bring back the state before; warn of each part that fails, and try the next one."""
        old = self.before.members
        replaced = [name for name, member in self.present.items() if old.get(name, member) != member]
        known = self.runtime.gateway(self.run).keys()
        undos: list[Callable[[], None]] = [
            lambda: self._leave(replaced),
            lambda: self._enter({name: member for name, member in old.items() if name not in self.present}),
            lambda: self._switch(self.before),
            lambda: self._remove(self.present.keys() - old.keys(), known),
            lambda: self.run.write(self.before.files),
        ]
        for undo in undos:
            try:
                undo()
            except CommandError as error:
                for line in error.lines:
                    warn(line)

    def _enter(self, members: Mapping[str, Member]) -> None:
        """Start workers one after the other, each once the one before it is in rotation."""
        if not members:
            return
        self.present |= members
        definitions = {name: member.text for name, member in self.present.items()}
        self.run.write(self.runtime.worker_files(self.before.files, definitions))
        self._list(self.present)
        for name, member in members.items():
            step(f"starting {name} on {member.slot}")
            self.runtime.start(self.run, name)
            check, promote = self._checks(name), partial(self.runtime.promote, self.run)
            wait_in_rotation(self.gateway, self.present, check, [name], promote)
            self.served.add(name)

    def _checks(self, name: str) -> Callable[[], None]:
        """Return what is checked again and again while a worker starts."""
        check_process = self.runtime.watch(self.run, [name])

        def check() -> None:
            self.check_interrupts()
            check_process()

        return check

    def _leave(self, names: Iterable[str]) -> None:
        """Stop workers once they get no requests any more."""
        staying = {name: member for name, member in self.present.items() if name not in set(names)}
        if staying == self.present:
            return
        known = self.runtime.gateway(self.run).keys()
        if staying:  # the gate refuses an empty list, and goes by the last one
            self._list(staying)
            wait_listed(self.gateway, staying)
        self._remove(names, known)

    def _list(self, members: Mapping[str, Member]) -> None:
        order = pool_order(self.before.members, self.after.members, members)
        text = render_members(self.before.files[self.runtime.members], order, members)
        self.run.write({self.runtime.members: text})

    def _switch(self, state: State) -> None:
        """Have the gateway go by `state`, and wait until no request goes to other workers."""
        if leaving := self.present.keys() - state.members.keys():
            step(f"switching the gateway away from {', '.join(sorted(leaving))}")
        self.runtime.switch_gateway(self.run, state.files)
        self.gateway = gateway_of(state.cluster)
        wait_listed(self.gateway, state.members)

    def _remove(self, names: Iterable[str], known: Collection[int]) -> None:
        """Stop workers that the gateway no longer lists, after their requests in flight.

        Those may be in the Nginx processes `known` from before, which worker_shutdown_timeout in nginx.conf bounds.
        """
        gone = sorted(names)
        if not gone:
            return

        def titles() -> list[str]:
            return [title for pid, title in self.runtime.gateway(self.run).items() if pid in known]

        if self.served.intersection(gone):  # else no reload comes, and none is needed
            wait_until(lambda: all(SHUTTING_DOWN in title for title in titles()), RELOAD_S)
        if any(SHUTTING_DOWN in title for title in titles()):
            say("   waiting for requests in flight")
        wait_until(lambda: not any(SHUTTING_DOWN in title for title in titles()), interval_s=0.2)
        step(f"stopping {', '.join(gone)}: requests in flight are answered first")
        self.runtime.remove(self.run, gone)
        self.present = {name: member for name, member in self.present.items() if name not in gone}
