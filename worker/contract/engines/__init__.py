"""The registry of engines: each module in this package declares one. worker/engines/README.md explains how."""

from worker.contract.declarations import EngineDeclaration, discover
from worker.contract.loaders import format_of, loaders_with

# torch first, since it is the reference for the others; then by the number of formats they read; then by name.
ENGINES = {
    engine.name: engine
    for engine in sorted(
        discover(__name__, __path__, EngineDeclaration),
        key=lambda engine: (not engine.torch, -len(engine.reads), engine.name),
    )
}
TORCH_ENGINE = next(engine for engine in ENGINES.values() if engine.torch)
SAFE = next(engine for engine in ENGINES.values() if engine.safe)


def reads(engine: str, loader: str) -> bool:
    """Return whether `engine` runs the networks of `loader` without conversion."""
    return format_of(loader) in ENGINES[engine].reads


def readers(engine: str) -> list[str]:
    """Return the loaders whose networks `engine` runs without conversion, in the order of its formats."""
    return [name for format in ENGINES[engine].reads for name in loaders_with(format=format)]


def first_for(loader: str) -> EngineDeclaration:
    """Return the first engine that runs the networks of `loader` without conversion."""
    return next(engine for engine in ENGINES.values() if format_of(loader) in engine.reads)


def needed_by(engine: str, texts: bool) -> EngineDeclaration:
    """Return the engine whose packages and memory a worker on `engine` needs: torch if it also embeds `texts`."""
    return TORCH_ENGINE if texts else ENGINES[engine]


def network_files(file: str) -> tuple[str, ...]:
    """Return the prepared network's `file`, and the path of its weights if they are in a file of their own."""
    kinds = (engine.prepared for engine in ENGINES.values() if engine.prepared)
    return next((kind.files(file) for kind in kinds if file.endswith(kind.suffix)), (file,))
