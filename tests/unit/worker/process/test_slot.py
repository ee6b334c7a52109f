"""Pinning a process to its slot."""

import dataclasses
import os

import pytest

from tests.unit.worker.contract.test_settings import COMPLETE
from worker.contract.settings import Settings
from worker.contract.swarm_slot import SlotError
from worker.process.slot import pin


def test_cpus_that_this_process_may_not_use_are_refused() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    elsewhere = dataclasses.replace(Settings.from_env(COMPLETE), cpus=frozenset({allowed[0], 4000}))
    with pytest.raises(SlotError) as caught:
        pin(elsewhere)
    assert str(caught.value) == (
        f"slot this-cpu0 is CPUs {allowed[0]},4000, but this process may use only {','.join(map(str, allowed))}: "
        "run `make up` again so that the plan follows the hardware"
    )
    assert sorted(os.sched_getaffinity(0)) == allowed
