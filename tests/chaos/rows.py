"""The rows of the table: each disturbs a service under load, and says what clients saw."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from scripts.base.waiting import wait_until
from tests.chaos import changes, crowds, gateway, workers
from tests.chaos.outcome import Bound, Disturb, Outcome, disturbed, observed
from tests.chaos.place import Place
from tests.local.faulty_worker import ENDLESS_DECODING, ENDLESS_INFERENCE, FAILED, SHORT
from tests.wait import TIMEOUT_S

MORE_KB, MORE_FILES = 64 << 10, 16  # of all processes, in the second half of a load

Row = Callable[[Place, int], Outcome]
NOTICED_BY_NOBODY: dict[str, Disturb] = {
    "rollout": changes.rollout,
    "swap": changes.swap,
    "change": changes.change,
    "kill": partial(workers.end, signal.SIGKILL),
    "freeze": partial(workers.end, signal.SIGSTOP),
    "pause": workers.pause,
    "endless-inference": partial(workers.endless, ENDLESS_INFERENCE),
    "endless-decoding": partial(workers.endless, ENDLESS_DECODING),
    "hole-503": workers.refusals,
    "gate-kill": partial(gateway.new_gate, signal.SIGKILL),
    "gate-freeze": partial(gateway.new_gate, signal.SIGSTOP),
    "gate-disk": gateway.full_disk,
    "gate-members": gateway.bad_members,
    "gate-probes": gateway.failing_probes,
    "reload": gateway.reload,
}


def drawn(place: Place, times: int) -> Outcome:
    """Disturb the service in ways that are drawn at random, `times`."""
    names = random.Random(place.seed).choices(list(NOTICED_BY_NOBODY), k=times)
    outcome = disturbed(place, [(name, NOTICED_BY_NOBODY[name]) for name in names])
    outcome.figures |= {"seed": place.seed, **Counter(turn.disturbance for turn in outcome.turns)}
    return outcome


def repeated(name: str, place: Place, times: int) -> Outcome:
    """Disturb the service in this way, `times`."""
    return disturbed(place, [(name, NOTICED_BY_NOBODY[name])] * times)


def leak(place: Place, times: int) -> Outcome:
    """Load the service for `times` seconds after as many; note what its processes hold more, both times at rest."""
    with observed(place) as first:
        time.sleep(times)
    before = place.holds()
    with observed(place) as second:
        time.sleep(times)

    def more() -> list[int]:
        now = place.holds()
        return [sum(now[name][position] - held[position] for name, held in before.items()) for position in (0, 1)]

    # The more requests there were at once, the more idle connections Nginx has, which it closes after a minute.
    wait_until(lambda: more()[1] <= MORE_FILES, TIMEOUT_S, interval_s=1.0)
    bounds = {"more kB": Bound(most=MORE_KB), "more open files": Bound(most=MORE_FILES)}
    figures = dict(zip(bounds, map(float, more()), strict=True))
    return Outcome(first.sent + second.sent, figures=figures, bounds=bounds, fault=first.fault or second.fault)


ROWS: dict[str, tuple[Row, int]] = {  # and how often unless the command says so
    **{name: (partial(repeated, name), 1) for name in NOTICED_BY_NOBODY if name != "reload"},
    "reloads": (gateway.reloads, 2),
    "hole-500": (partial(workers.black_hole, FAILED), 1),
    "hole-length": (partial(workers.black_hole, SHORT), 1),
    "all-down": (workers.all_down, 1),
    "slow-clients": (crowds.slow_clients, 1),
    "uploads": (crowds.uploads, 4),
    "overload": (crowds.overload, 2),
    "leak": (leak, 1),
    "drawn": (drawn, 2),
}
