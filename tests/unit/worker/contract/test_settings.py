"""The environment of a worker: read strictly, every fault reported at once."""

import re
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from worker.contract.engines import ENGINES
from worker.contract.limits import LIMITS
from worker.contract.settings import (
    SETTINGS,
    Settings,
    SettingsError,
    offline_faults,
    offline_variables,
    process_settings,
    to_env,
)

REQUIRED = {
    "WANWU_MODEL_DIR": "/models/bright",
    "WANWU_MODEL": "bright",
    "WANWU_WORKER": "bright-0",
    "WANWU_SLOT": "this-cpu0",
    "WANWU_CPUS": "0-1,4",
    "WANWU_BIND": "127.0.0.1:8081",
}
COMPLETE = offline_variables() | REQUIRED


def faults(**changed: str | None) -> list[str]:
    environ = {key: value for key, value in (COMPLETE | changed).items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return str(caught.value).splitlines()


def test_missing_settings_get_their_defaults() -> None:
    settings = Settings.from_env(COMPLETE | {"PATH": "/bin"})
    expected: dict[str, object] = {
        "model_dir": Path("/models/bright"),
        "model": "bright",
        "worker": "bright-0",
        "slot": "this-cpu0",
        "cpus": frozenset({0, 1, 4}),
        "bind": "127.0.0.1:8081",
    }
    found = vars(settings)
    assert {name: found[name] for name in expected} == expected
    assert (settings.engine, settings.gpu, settings.on_load_error) == ("auto", "", "keep_running")
    assert {name: found[name] for name in LIMITS} == {name: limit.default for name, limit in LIMITS.items()}


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_can_be_set_to_its_bounds(name: str) -> None:
    for value in (LIMITS[name].minimum, LIMITS[name].maximum):
        room = {"WANWU_QUEUE": "512", "WANWU_MAX_IMAGES": "1"}  # a full request has to fit into the queue
        settings = Settings.from_env(COMPLETE | room | {f"WANWU_{name.upper()}": str(value)})
        assert getattr(settings, name) == value


def test_a_queue_smaller_than_a_full_request_is_refused() -> None:
    assert faults(WANWU_QUEUE="8", WANWU_MAX_IMAGES="9") == [
        "WANWU_MAX_IMAGES: found 9, needed at most 8, the queue: lower max_images or raise queue"
    ]


def test_every_fault_is_reported_at_once() -> None:
    changed = {"HF_HUB_OFFLINE": "0", "WANWU_SLOTHS": "1", "WANWU_BIND": None, "WANWU_CPUS": "a", "WANWU_QUEUE": "0"}
    known = ", ".join(sorted(setting.variable for setting in SETTINGS.values()))
    assert faults(**changed, WANWU_ENGINE="cuda", WANWU_ON_LOAD_ERROR="go") == [
        "HF_HUB_OFFLINE: found 0, needed 1: set what worker/offline.env lists",
        f"WANWU_SLOTHS: found no such setting, needed one of {known}: remove or rename it",
        "WANWU_CPUS: found 'a', needed the CPUs of the slot, as in \"0-3,8\": correct it",
        'WANWU_BIND: found nothing, needed the address to listen on, as in "127.0.0.1:8081": set it',
        "WANWU_ON_LOAD_ERROR: found 'go', needed one of keep_running, exit: correct it",
        f"WANWU_ENGINE: found 'cuda', needed one of auto, {', '.join(ENGINES)}: correct it",
        "WANWU_QUEUE: found '0', needed a whole number from 1 to 512 (images): correct it",
    ]


@pytest.mark.parametrize("value", ["stay", "leave", "exit"])
def test_the_former_name_of_a_setting_is_refused_with_the_new_one(value: str) -> None:
    assert faults(WANWU_BROKEN=value) == [
        "WANWU_BROKEN: found a setting's former name, needed WANWU_ON_LOAD_ERROR: set that to keep_running or exit "
        "instead"
    ]


@pytest.mark.parametrize("value", ["", "soon", "1.5", "21", "-1", "9" * 5000, "\u0661"])
def test_an_invalid_limit_is_named_with_its_bounds(value: str) -> None:
    assert faults(WANWU_DEADLINE_S=value) == [
        f"WANWU_DEADLINE_S: found {value!r}, needed a whole number from 1 to 20 (seconds): correct it"
    ]


@pytest.mark.parametrize("name", REQUIRED)
def test_each_required_setting_must_be_set_and_not_empty(name: str) -> None:
    for value in (None, ""):
        (fault,) = faults(**{name: value})
        assert fault.startswith(f"{name}: found nothing, needed ")


def test_without_offline_variables_each_is_named() -> None:
    assert offline_faults({}) == [
        f"{name}: found nothing, needed 1: set what worker/offline.env lists"
        for name in (
            "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE",
            "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET", "DO_NOT_TRACK",
        )
    ]  # fmt: skip


def test_a_descending_range_of_cpus_is_refused() -> None:
    assert faults(WANWU_CPUS="1,5-3")[0].startswith("WANWU_CPUS: found '1,5-3', needed ")


# --- One declaration --------------------------------------------------------------------------------------------


def test_a_setting_with_a_valid_default_may_be_omitted() -> None:
    assert {setting.name for setting in SETTINGS.values() if setting.default is None} == {
        name.removeprefix("WANWU_").lower() for name in REQUIRED
    }
    for setting in SETTINGS.values():
        if setting.default is not None:
            assert setting.from_env({}) == setting.parse(setting.default)


def test_a_worker_reads_what_to_env_writes() -> None:
    values: dict[str, object] = {"model_dir": "/m", "model": "m", "worker": "w", "slot": "s", "cpus": "0", "bind": "b"}
    settings = Settings.from_env(offline_variables() | to_env(**values, queue=7, max_images=3, gpu="GPU-1"))
    assert (settings.model_dir, settings.queue, settings.max_images, settings.gpu) == (Path("/m"), 7, 3, "GPU-1")
    with pytest.raises(KeyError):
        to_env(queues=7)


VARIABLE = re.compile(r"WANWU_[A-Z_]+")
OF_DEPLOYMENT = {
    "WANWU_MONITOR",
    "WANWU_PORT",
    "WANWU_GATEWAY_IMAGE",
    "WANWU_ENTRANCE_IMAGE",
    "WANWU_ENTRANCE_OPTIONS",
    "WANWU_MEMBERS",
    "WANWU_MEMBERS_NAME",
    "WANWU_KEYS",
    "WANWU_KEYS_NAME",
    "WANWU_TLS",
    "WANWU_GATEWAY_TMP",
    "WANWU_GATEWAY_MEMORY",
}
STATIC = ("compose/worker.yaml", "compose/compose.yaml", "compose/stack.yaml", "worker/Dockerfile")


@pytest.mark.parametrize("file", STATIC)
def test_static_files_name_only_existing_settings(file: str) -> None:
    found = set(VARIABLE.findall((ROOT / file).read_text(encoding="utf-8"))) - OF_DEPLOYMENT
    assert found <= {setting.variable for setting in SETTINGS.values()}


def test_no_module_spells_out_a_settings_variable() -> None:
    expected = {setting.variable for setting in SETTINGS.values()}
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for folder in ("worker", "scripts")
        for path in (ROOT / folder).rglob("*.py")
        for name in VARIABLE.findall(path.read_text(encoding="utf-8"))
        if name in expected
    ]
    assert wrong == []


def test_a_process_parses_its_settings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "worker").rglob("*.py")
        if "Settings.from_env(" in path.read_text(encoding="utf-8")
    ]
    assert calls == ["worker/contract/settings.py"]
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    process_settings.cache_clear()
    try:
        assert process_settings() is process_settings()
    finally:
        process_settings.cache_clear()
