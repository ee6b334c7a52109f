"""The settings of a worker: declared once, read from the environment, with all faults reported together.

A field of Settings, or of Limits in limits.py, is the whole declaration: name, type, default, unit, and the table of
cluster.toml that has a key of the same name, if any. The variable WANWU_<NAME> that the worker reads, the variables
that scripts/render writes for every runtime, and the checks of the key in cluster.toml all derive from it.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from worker.contract.cpu_list import parse_cpu_list
from worker.contract.engines import ENGINES
from worker.contract.files import read_variables
from worker.contract.limits import LIMITS, Limit, Limits, queue_fault

PREFIX = "WANWU_"
AUTO = "auto"  # the engine that the model folder chooses for this machine kind
KEEP_RUNNING, EXIT = "keep_running", "exit"  # what a worker does if it cannot load its model
TOP, LIMITS_TABLE = "", "limits"  # tables of cluster.toml
FORMER_NAMES = {"BROKEN": f"ON_LOAD_ERROR: set that to {KEEP_RUNNING} or {EXIT} instead"}


class SettingsError(Exception):
    """The environment has faults, one per line."""


@dataclass(frozen=True)
class Setting:
    """The declaration of one setting."""

    name: str
    needed: str  # the requirement for a value, as the end of "needed ..."
    parse: Callable[[str], Any] = str  # parses a variable's text; raises ValueError
    default: str | None = None  # a variable's text; None if the variable must be set
    unit: str = ""
    toml_type: type = str
    table: str | None = None  # the table of cluster.toml (TOP: top level); None if the file has no such key

    @property
    def variable(self) -> str:
        """The name of the setting's environment variable."""
        return PREFIX + self.name.upper()

    def from_toml(self, value: object) -> Any:
        """Return the parsed `value` of cluster.toml. Raise ValueError if it is not allowed."""
        if type(value) is not self.toml_type:
            raise ValueError
        return self.parse(str(value))

    def from_env(self, environ: Mapping[str, str]) -> Any:
        """Return the parsed value in `environ`, or the default. Raise ValueError, with a message, if it is wrong."""
        text = environ.get(self.variable, self.default)
        if text is None or (text == "" and self.default is None):
            raise ValueError(f"{self.variable}: found nothing, needed {self.needed}: set it")
        try:
            return self.parse(text)
        except ValueError as error:
            raise ValueError(f"{self.variable}: found {text!r}, needed {self.needed}: correct it") from error


def _cpus(text: str) -> frozenset[int]:
    return frozenset(parse_cpu_list(text))


def _megabytes(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError
    return int(text)


def _setting(needed: str, **arguments: object) -> dict[str, object]:
    """Return the metadata of a field of Settings: the arguments of Setting other than the name."""
    return {"needed": needed, **arguments}


def _choice(*choices: str, table: str | None = None) -> dict[str, object]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    return _setting(f"one of {', '.join(choices)}", parse=parse, default=choices[0], table=table)


def _of_limit(name: str, limit: Limit) -> Setting:
    def parse(text: str) -> int:
        value = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None
        if not limit.allows(value):
            raise ValueError
        return int(text)

    return Setting(name, limit.needed, parse, str(limit.default), limit.unit, int, LIMITS_TABLE)


@dataclass(frozen=True)
class Settings(Limits):
    """The settings of one worker: its slot with CPUs and GPU, its model and its limits."""

    model_dir: Path = field(metadata=_setting("the path of the model folder to serve", parse=Path))
    model: str = field(metadata=_setting("the name that the model is served under"))
    worker: str = field(metadata=_setting("this worker's name"))
    slot: str = field(metadata=_setting("the name of the slot that it is pinned to"))
    cpus: frozenset[int] = field(metadata=_setting('the CPUs of the slot, as in "0-3,8"', parse=_cpus))
    bind: str = field(metadata=_setting('the address to listen on, as in "127.0.0.1:8081"'))
    gpu: str = field(metadata=_setting("the UUID of the slot's GPU, or nothing", default=""))
    cache: str = field(metadata=_setting("a folder for files that can be rebuilt, or nothing", default=""))
    volume: str = field(
        metadata=_setting("the mounted model volume, whose sentinel is checked, or nothing", default="")
    )
    volume_id: str = field(metadata=_setting("the id that the model volume must have, or nothing", default=""))
    memory_mb: int = field(
        metadata=_setting("the megabytes that the process may take, or 0 for no limit", parse=_megabytes, default="0")
    )
    on_load_error: str = field(metadata=_choice(KEEP_RUNNING, EXIT))  # EXIT where a scheduler rolls back updates
    engine: str = field(metadata=_choice(AUTO, *ENGINES, table=TOP))

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings in `environ`. Raise SettingsError with every fault."""
        faults, values = offline_faults(environ) + _unknown(environ), dict[str, Any]()
        for setting in SETTINGS.values():
            try:
                values[setting.name] = setting.from_env(environ)
            except ValueError as error:
                faults.append(str(error))
        if fault := queue_fault(values):
            faults.append(f"{SETTINGS['max_images'].variable}: {fault}")
        if faults:
            raise SettingsError("\n".join(faults))
        return cls(**values)


SETTINGS = {
    **{one.name: Setting(one.name, **one.metadata) for one in fields(Settings) if one.name not in LIMITS},
    **{name: _of_limit(name, limit) for name, limit in LIMITS.items()},
}


@cache
def process_settings() -> Settings:
    """Return this process's settings, parsed once: workers that gunicorn forks inherit them.

    Raise SettingsError with every fault.
    """
    return Settings.from_env(os.environ)


def to_env(**values: object) -> dict[str, str]:
    """Return the environment variables for the settings `values`. Raise KeyError if a name is not a setting."""
    return {SETTINGS[name].variable: str(value) for name, value in values.items()}


def offline_variables() -> dict[str, str]:
    """Return the variables in offline.env, which keep every library off the network."""
    return read_variables(Path(__file__).parents[1] / "offline.env")


def offline_faults(environ: Mapping[str, str]) -> list[str]:
    """Return a line for each variable of offline.env that `environ` does not set to the same value."""
    return [
        f"{name}: found {environ.get(name, 'nothing')}, needed {needed}: set what worker/offline.env lists"
        for name, needed in offline_variables().items()
        if environ.get(name) != needed
    ]


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = sorted(setting.variable for setting in SETTINGS.values())
    faults = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name not in known):
        if new := FORMER_NAMES.get(variable.removeprefix(PREFIX)):
            faults.append(f"{variable}: found a setting's former name, needed {PREFIX}{new}")
        else:
            faults.append(f"{variable}: found no such setting, needed one of {', '.join(known)}: remove or rename it")
    return faults
