"""What a worker is told through its environment: read once, frozen, every fault reported at once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.contract.cpu_list import parse_cpu_list
from worker.contract.files import read_variables
from worker.contract.limits import LIMITS

PREFIX = "WANWU_"
ENGINES = ("torch", "openvino", "onnxruntime")
AUTO = "auto"  # the engine that the model folder has for this kind of machine
STAY, LEAVE = "stay", "leave"  # what a worker does that cannot serve its model
REQUIRED = {
    "MODEL_DIR": "the model folder to serve",
    "MODEL": "the name the model is served under",
    "WORKER": "this worker's name",
    "SLOT": "the name of the slot it is pinned to",
    "CPUS": 'the CPUs of the slot, as in "0-3,8"',
    "BIND": 'the address to listen on, as in "127.0.0.1:8081"',
}
OPTIONAL = {"GPU": "", "ENGINE": AUTO, "CACHE": "", "SLOTS": "", "VOLUME": "", "VOLUME_ID": "", "BROKEN": STAY}


class SettingsError(Exception):
    """The environment cannot be served with; one line a fault."""


@dataclass(frozen=True)
class Settings:
    """One worker's place (slot, CPUs, GPU UUID), its model and its limits (units: see worker.limits)."""

    model_dir: Path
    model: str
    worker: str
    slot: str
    cpus: frozenset[int]
    bind: str
    gpu: str
    engine: str
    cache: str  # a folder for what can be made again, or "" for none
    slots: str  # the file that says what the slots are which Swarm gives, or "" for the usual one
    volume: str  # the mounted model volume, whose sentinel is checked, or "" for no check
    volume_id: str  # which volume it must be, or "" for any
    broken: str  # STAY and say so when the model cannot be served, or LEAVE, so that a scheduler sees it
    queue: int
    max_images: int
    max_pixels: int
    deadline_s: int
    inference_limit_s: int
    drain_s: int

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings from `environ`; raises SettingsError naming every fault."""
        given = {key.removeprefix(PREFIX): value for key, value in environ.items() if key.startswith(PREFIX)}
        values: dict[str, object] = {key.lower(): given.get(key, default) for key, default in OPTIONAL.items()}
        faults = offline_faults(environ) + _unknown(given) + _missing(given)
        values |= {key.lower(): given.get(key, "") for key in REQUIRED}
        values["model_dir"] = Path(given.get("MODEL_DIR", ""))
        values["cpus"] = _cpus(given.get("CPUS", ""), faults)
        for name in LIMITS:
            values[name] = _limit(name, given, faults)
        if not faults and values["max_images"] > values["queue"]:  # type: ignore[operator]
            faults.append(
                f"{PREFIX}MAX_IMAGES must be at most {PREFIX}QUEUE, {values['queue']}, found {values['max_images']}: "
                "a fuller request would never be let in"
            )
        if values["engine"] not in (AUTO, *ENGINES):
            faults.append(f"{PREFIX}ENGINE must be one of {', '.join((AUTO, *ENGINES))}, found {values['engine']!r}")
        if values["broken"] not in (STAY, LEAVE):
            faults.append(f"{PREFIX}BROKEN must be one of {STAY}, {LEAVE}, found {values['broken']!r}")
        if faults:
            raise SettingsError("\n".join(faults))
        return cls(**values)  # type: ignore[arg-type]


def offline_variables() -> dict[str, str]:
    """The variables that keep every library on this machine, from offline.env."""
    return read_variables(Path(__file__).parents[1] / "offline.env")


def offline_faults(environ: Mapping[str, str]) -> list[str]:
    """A line for each offline variable that is not set as offline.env says."""
    return [
        f"{name} must be {needed}, found {environ.get(name, 'nothing')}: set what worker/offline.env lists"
        for name, needed in offline_variables().items()
        if environ.get(name) != needed
    ]


def _cpus(text: str, faults: list[str]) -> frozenset[int]:
    try:
        return frozenset(parse_cpu_list(text) if text else ())
    except ValueError as error:
        faults.append(f"{PREFIX}CPUS: {error}")
        return frozenset()


def _limit(name: str, given: Mapping[str, str], faults: list[str]) -> int:
    text = given.get(name.upper(), str(LIMITS[name].default))
    value = int(text) if re.fullmatch(r"-?\d+", text) else text
    if fault := LIMITS[name].fault(value):
        faults.append(f"{PREFIX}{name.upper()} {fault}")
        return LIMITS[name].default
    return int(value)


def _unknown(given: Mapping[str, str]) -> list[str]:
    known = sorted([*REQUIRED, *OPTIONAL, *(name.upper() for name in LIMITS)])
    return [
        f"{PREFIX}{key} is not a setting; known: {', '.join(PREFIX + name for name in known)}"
        for key in sorted(given)
        if key not in known
    ]


def _missing(given: Mapping[str, str]) -> list[str]:
    return [f"{PREFIX}{key} must be set: {what}" for key, what in REQUIRED.items() if not given.get(key)]
