"""The engines: each module here declares one, and is found by being here. worker/engines/README.md says how."""

from worker.contract.declarations import EngineDeclaration, discovered
from worker.contract.loaders import declaring, format_of

# torch first, which all others are held against; then those that read more formats; then by name.
ENGINES = {
    engine.name: engine
    for engine in sorted(
        discovered(__name__, __path__, EngineDeclaration),
        key=lambda engine: (not engine.torch, -len(engine.reads), engine.name),
    )
}
TORCH_ENGINE = next(engine for engine in ENGINES.values() if engine.torch)
SAFE = next(engine for engine in ENGINES.values() if engine.safe)


def reads(engine: str, loader: str) -> bool:
    """Return whether `engine` runs what `loader` reads as it is."""
    return format_of(loader) in ENGINES[engine].reads


def readers(engine: str) -> list[str]:
    """Return the loaders that read what `engine` runs as it is, by the order of its formats."""
    return [name for format in ENGINES[engine].reads for name in declaring(format=format)]


def first_for(loader: str) -> EngineDeclaration:
    """Return the engine that runs what `loader` reads before anything is prepared."""
    return next(engine for engine in ENGINES.values() if format_of(loader) in engine.reads)


def needed_by(engine: str, texts: bool) -> EngineDeclaration:
    """Return the engine whose packages and memory a worker on `engine` needs: torch's where it reads texts, too."""
    return TORCH_ENGINE if texts else ENGINES[engine]


def network_files(file: str) -> tuple[str, ...]:
    """Return the prepared network's `file`, and where its weights are when they are not in it."""
    kinds = (engine.prepared for engine in ENGINES.values() if engine.prepared)
    return next((kind.files(file) for kind in kinds if file.endswith(kind.suffix)), (file,))
