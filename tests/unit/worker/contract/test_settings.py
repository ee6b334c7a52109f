"""The environment of a worker: read strictly, every fault reported at once."""

from pathlib import Path

import pytest

from worker.contract.limits import LIMITS
from worker.contract.settings import Settings, SettingsError, offline_faults, offline_variables

GIVEN = {
    "WANWU_MODEL_DIR": "/models/bright",
    "WANWU_MODEL": "bright",
    "WANWU_WORKER": "bright-0",
    "WANWU_SLOT": "this-cpu0",
    "WANWU_CPUS": "0-1,4",
    "WANWU_BIND": "127.0.0.1:8081",
}
COMPLETE = offline_variables() | GIVEN
KNOWN = (
    "WANWU_BIND, WANWU_BROKEN, WANWU_CACHE, WANWU_CPUS, WANWU_DEADLINE_S, WANWU_DRAIN_S, WANWU_ENGINE, WANWU_GPU, "
    "WANWU_INFERENCE_LIMIT_S, WANWU_MAX_IMAGES, WANWU_MAX_PIXELS, WANWU_MODEL, WANWU_MODEL_DIR, WANWU_QUEUE, "
    "WANWU_SLOT, WANWU_SLOTS, WANWU_VOLUME, WANWU_VOLUME_ID, WANWU_WORKER"
)


def faults(**changed: str | None) -> list[str]:
    environ = {key: value for key, value in (COMPLETE | changed).items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ)
    return str(caught.value).splitlines()


def test_a_complete_environment_is_read_with_the_limits_defaults() -> None:
    settings = Settings.from_env(COMPLETE | {"PATH": "/bin"})
    assert settings == Settings(
        model_dir=Path("/models/bright"), model="bright", worker="bright-0", slot="this-cpu0",
        cpus=frozenset({0, 1, 4}), bind="127.0.0.1:8081", gpu="", engine="auto", cache="",
        slots="", volume="", volume_id="", broken="stay",
        queue=64, max_images=32, max_pixels=64_000_000, deadline_s=15, inference_limit_s=30, drain_s=3,
    )  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_every_limit_can_be_set_to_its_bounds(name: str) -> None:
    for value in (LIMITS[name].minimum, LIMITS[name].maximum):
        room = {"WANWU_QUEUE": "512", "WANWU_MAX_IMAGES": "1"}  # a full request has to fit into the queue
        settings = Settings.from_env(COMPLETE | room | {f"WANWU_{name.upper()}": str(value)})
        assert getattr(settings, name) == value


def test_a_queue_smaller_than_a_full_request_is_refused() -> None:
    assert faults(WANWU_QUEUE="8", WANWU_MAX_IMAGES="9") == [
        "WANWU_MAX_IMAGES must be at most WANWU_QUEUE, 8, found 9: a fuller request would never be let in"
    ]


def test_every_fault_is_reported_at_once() -> None:
    changed = {"HF_HUB_OFFLINE": "0", "WANWU_SLOTHS": "1", "WANWU_BIND": None, "WANWU_CPUS": "a", "WANWU_QUEUE": "0"}
    assert faults(**changed, WANWU_ENGINE="cuda", WANWU_BROKEN="go") == [
        "HF_HUB_OFFLINE must be 1, found 0: set what worker/offline.env lists",
        f"WANWU_SLOTHS is not a setting; known: {KNOWN}",
        'WANWU_BIND must be set: the address to listen on, as in "127.0.0.1:8081"',
        "WANWU_CPUS: not a CPU list such as \"0-3,8\": 'a'",
        "WANWU_QUEUE must be 1 to 512 images, found 0",
        "WANWU_ENGINE must be one of auto, torch, openvino, onnxruntime, found 'cuda'",
        "WANWU_BROKEN must be one of stay, leave, found 'go'",
    ]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "must be a whole number of seconds, found ''"),
        ("soon", "must be a whole number of seconds, found 'soon'"),
        ("1.5", "must be a whole number of seconds, found '1.5'"),
        ("21", "must be 1 to 20 seconds, found 21"),
        ("-1", "must be 1 to 20 seconds, found -1"),
    ],
)
def test_a_wrong_limit_is_named_with_what_it_may_be(value: str, fault: str) -> None:
    assert faults(WANWU_DEADLINE_S=value) == [f"WANWU_DEADLINE_S {fault}"]


@pytest.mark.parametrize("name", GIVEN)
def test_each_required_setting_must_be_there_and_not_empty(name: str) -> None:
    for value in (None, ""):
        (fault,) = faults(**{name: value})
        assert fault.startswith(f"{name} must be set: ")


def test_without_offline_variables_each_is_named() -> None:
    assert offline_faults({}) == [
        f"{name} must be 1, found nothing: set what worker/offline.env lists"
        for name in (
            "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE",
            "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_XET", "DO_NOT_TRACK",
        )
    ]  # fmt: skip
