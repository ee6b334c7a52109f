"""The steps of making a server a member: each with what it changes, and how that is undone."""

from scripts.bootstrap import files
from scripts.bootstrap.executor import Step, Undo
from scripts.bootstrap.steps import (
    docker,
    images,
    kit,
    offline,
    old_kits,
    packages,
    signers,
    slots,
    swarm,
    volume,
    wheels,
)

STEPS: tuple[Step, ...] = (
    packages.STEP, signers.STEP, kit.STEP, wheels.STEP, volume.STEP, offline.STEP, slots.STEP, docker.STEP,
    images.STEP, swarm.STEP,
)  # fmt: skip
LAST: Step = old_kits.STEP  # cannot be undone
UNDO: dict[str, Undo] = files.UNDO | {kind: undo for step in STEPS for kind, undo in step.undo.items()}
