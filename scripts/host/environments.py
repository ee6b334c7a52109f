"""The Python environments that there are: what locks each installs, and which one it extends. venv.py makes them."""

import sysconfig
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster.config import ROOT
from worker.contract.declarations import EngineDeclaration
from worker.contract.engines import ENGINES

WORKER = ROOT / "worker/requirements"
PIP = ROOT / "scripts/requirements/pip.txt"
TORCH_CPU, TORCH_CUDA = WORKER / "torch-cpu.txt", WORKER / "torch-cuda.txt"


@dataclass(frozen=True)
class Environment:
    """A virtual environment: the link to it, its lock files, whether it holds torch, and the environment it extends.

    It sees the packages of `parent`, and installs only those that its own lock files add. `compiled` tells whether all
    modules are byte-compiled at once, as workers need, whose account may not write there; in others, Python compiles
    each module on first import, unless PYTHONDONTWRITEBYTECODE is set, and most are never imported.
    """

    folder: Path
    own_locks: tuple[Path, ...]
    torch: bool = False
    parent: "Environment | None" = None
    compiled: bool = True

    @property
    def locks(self) -> tuple[Path, ...]:
        """Return the lock files of all packages in it; those of torch are not among them."""
        return (*(self.parent.locks if self.parent else ()), *self.own_locks)

    @property
    def home(self) -> Path:
        """Return the folder that the link leads to now; what runs from it keeps it when the link changes."""
        return self.folder.resolve()

    @property
    def packages(self) -> Path:
        """Return the folder that its own packages are installed in."""
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.home)}))

    @property
    def python(self) -> Path:
        return self.home / "bin/python"


def _extra_locks(engine: EngineDeclaration) -> tuple[Path, ...]:
    """Return the lock files that `engine` needs besides base.txt, without torch's, which Environment.torch adds."""
    return () if engine.torch else tuple(WORKER / f"{name}.txt" for name in engine.image.requirements if name != "base")


VENVS = ROOT / ".venv"
SERVE = Environment(VENVS / "serve", (WORKER / "base.txt", WORKER / "local.txt"))
SERVE_TORCH = Environment(VENVS / "serve-torch", (), torch=True, parent=SERVE)
# The lock files of all engines but torch: the model tools measure every engine.
EXTRA_LOCKS = tuple(dict.fromkeys(lock for engine in ENGINES.values() for lock in _extra_locks(engine)))
TOOLS = Environment(
    VENVS / "tools", (*EXTRA_LOCKS, ROOT / "scripts/requirements/tools.txt"), True, SERVE_TORCH, compiled=False
)
TEACH = Environment(VENVS / "teach", (ROOT / "scripts/requirements/teach.txt",), parent=SERVE, compiled=False)
PEERS = Environment(VENVS / "peers", (ROOT / "scripts/requirements/peers.txt",), torch=True, parent=SERVE_TORCH)
LOCK = Environment(VENVS / "lock", (ROOT / "scripts/requirements/lock.txt",), compiled=False)
DEV = Environment(VENVS / "dev", (ROOT / "tests/requirements.txt",), torch=True, parent=TOOLS, compiled=False)
EXPORTERS = Environment(VENVS / "exporters", (ROOT / "tests/requirements-exporters.txt",), compiled=False)


def serving(engine: EngineDeclaration) -> Environment:
    """Return the environment of workers that run `engine`."""
    if engine.torch:
        return SERVE_TORCH
    extra_locks = _extra_locks(engine)
    return Environment(VENVS / f"serve-{engine.name}", extra_locks, parent=SERVE) if extra_locks else SERVE
