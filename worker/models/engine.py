"""`[engine]` of model.toml: what runs the network."""

from dataclasses import dataclass

from worker.models.fields import Fields
from worker.settings import ENGINES

PRECISIONS = ("f32", "bf16", "int8")


@dataclass(frozen=True)
class EngineSpec:
    """Which engine runs the network, in which precision, and the batch sizes it is prepared for."""

    name: str
    precision: str
    batch_sizes: tuple[int, ...]


def read_engine(fields: Fields) -> EngineSpec:
    """The table as an EngineSpec; faults go to `fields`."""
    sizes = fields.numbers("batch_sizes", int, None)
    if 1 not in sizes or min(sizes) < 1:
        fields.fault("batch_sizes", f"must hold 1 and no number below it, found {list(sizes)}")
    return EngineSpec(fields.choice("name", ENGINES), fields.choice("precision", PRECISIONS), sizes)
