"""`[engine]` of model.toml: read strictly, and what it chooses for one kind of machine."""

import dataclasses
import tomllib

import pytest

from worker.contract.decoding import DecodingMeasurement
from worker.contract.engine import Choice, EngineSpec, Measurement, Scaling, prepared_names, read_engine
from worker.contract.engines import ENGINES
from worker.contract.toml_reader import ModelError, TomlReader

OURS, OTHERS = "x86_64 avx2", "NVIDIA H200"
FILES = ("weights.pth", "prepared/f32.xml", "prepared/int8.xml", "prepared/f32.onnx")
SAFE = """name = "torch"
precision = "f32"
batch_sizes = [1, 4]
"""
PREPARED = """[prepared]
openvino-f32 = "prepared/f32.xml"
openvino-int8 = "prepared/int8.xml"
onnxruntime-f32 = "prepared/f32.onnx"
"""
ROW = """[[measured]]
machine = "{machine}"
engine = "{engine}"
precision = "{precision}"
batch_sizes = [1, 8]
images_per_s = {speed}
agreement = {agreement}
difference = 0.01
chosen = {chosen}
"""
SCALING = """[[scaling]]
machine = "x86_64 avx2"
cores = 2
images_per_s = 301
latency_ms = 6.1
"""


def row(
    engine: str, precision: str, speed: float, agreement: float = 1.0, chosen: str = "false", machine: str = OURS
) -> str:
    return ROW.format(
        machine=machine, engine=engine, precision=precision, speed=speed, agreement=agreement, chosen=chosen
    )


MEASURED = "".join([
    row("openvino", "int8", 400, 0.981, "true"), row("openvino", "f32", 60), row("openvino", "bf16", 120, 0.995),
    row("torch", "bf16", 90, 0.989), row("torch", "f32", 40), row("onnxruntime", "f32", 55),
    row("torch", "fp16", 5000, 0.999, "true", OTHERS), row("torch", "bf16", 4000, 0.999, machine=OTHERS),
])  # fmt: skip
WHOLE = SAFE + PREPARED + MEASURED + SCALING


def read(text: str, loader: str = "timm") -> EngineSpec:
    reader = TomlReader(tomllib.loads(text), "m.toml", "engine/")
    spec = read_engine(reader, loader, FILES)
    reader.raise_faults()
    return spec


DECODING = """
decode = "exact"
[[decoding]]
size = "large"
images = 50
agreement = 0.9
difference = 0.25
"""


def faults(text: str, loader: str = "timm") -> list[str]:
    with pytest.raises(ModelError) as caught:
        read(text, loader)
    return str(caught.value).splitlines()


def test_every_key_of_the_table_is_read() -> None:
    spec = read(WHOLE)
    assert (spec.name, spec.precision, spec.batch_sizes, spec.wait_ms) == ("torch", "f32", (1, 4), 0.0)
    assert spec.prepared == tomllib.loads(PREPARED)["prepared"]
    assert len(spec.measured) == 8
    assert spec.measured[0] == Measurement(OURS, "openvino", "int8", (1, 8), 400.0, 0.981, 0.01, True)
    assert spec.scaling == (Scaling(OURS, 2, 301.0, 6.1),)
    assert read("wait_ms = 2\n" + SAFE).wait_ms == 2.0
    assert read(SAFE + DECODING).decode == "exact"
    assert read(SAFE + DECODING).decoding == (DecodingMeasurement("large", 50, 0.9, 0.25),)


def test_a_table_with_only_the_safe_choice_is_valid() -> None:
    assert read(SAFE) == EngineSpec("torch", "f32", (1, 4))


@pytest.mark.parametrize(
    ("machine", "requested", "engine", "precision", "sizes", "reason"),
    [
        (OURS, "auto", "openvino", "int8", (1, 8), "the fastest that was measured on this kind of machine, {}"),
        (OTHERS, "auto", "torch", "fp16", (1, 8), "the fastest that was measured on this kind of machine, {}"),
        ("arm", "auto", "torch", "f32", (1, 4),
         "the safe choice: nothing was measured on this kind of machine, {}"),
        (OURS, "torch", "torch", "f32", (1, 8),
         "engine torch was requested; the fastest that was measured on this kind of machine, {}"),
        (OURS, "openvino", "openvino", "int8", (1, 8),
         "engine openvino was requested; the fastest that was measured on this kind of machine, {}"),
        (OTHERS, "openvino", "openvino", "f32", (1, 4),
         "engine openvino was requested; in f32: nothing was measured on this kind of machine, {}"),
        ("arm", "torch", "torch", "f32", (1, 4),
         "engine torch was requested; the safe choice: nothing was measured on this kind of machine, {}"),
    ],
)  # fmt: skip
def test_the_choice_follows_what_was_measured_on_this_kind_of_machine(
    machine: str, requested: str, engine: str, precision: str, sizes: tuple[int, ...], reason: str
) -> None:
    assert read(WHOLE).choose(machine, requested) == Choice(engine, precision, sizes, reason.format(machine))


def test_an_engine_requested_by_name_keeps_the_precision_of_the_safe_choice() -> None:
    spec = dataclasses.replace(read(SAFE), name="openvino", precision="int8")
    assert spec.choose(OURS, "openvino").precision == "int8"
    assert spec.choose(OURS, "onnxruntime").precision == "f32"


@pytest.mark.parametrize(
    ("precision", "agreement", "passed"),
    [("f32", 0.99, True), ("bf16", 0.9899, False), ("int8", 0.98, True), ("int8", 0.9799, False)],
)
def test_the_required_agreement_is_99_percent_and_98_in_int8(precision: str, agreement: float, passed: bool) -> None:
    assert Measurement(OURS, "openvino", precision, (1,), 1.0, agreement, 0.0, False).passed == passed


@pytest.mark.parametrize(
    ("loader", "engine", "precision", "network"),
    [
        ("timm", "openvino", "f32", "prepared/f32.xml"),
        ("timm", "openvino", "bf16", "prepared/f32.xml"),
        ("timm", "openvino", "int8", "prepared/int8.xml"),
        ("timm", "onnxruntime", "int8", None),
        ("timm", "torch", "bf16", ""),
        ("onnx", "onnxruntime", "int8", ""),
        ("onnx", "openvino", "f32", "prepared/f32.xml"),
        ("openvino", "onnxruntime", "int8", None),
        ("openvino", "torch", "f32", None),
    ],
)
def test_an_engine_runs_a_prepared_network_the_folders_own_or_none(
    loader: str, engine: str, precision: str, network: str | None
) -> None:
    assert read(SAFE + PREPARED).network(loader, engine, precision) == network


def test_prepared_names_are_those_that_engines_look_up() -> None:
    spec = EngineSpec("torch", "f32", (1,), prepared={name: name for name in prepared_names()})
    runs = [(name, precision) for name, engine in ENGINES.items() for precision in engine.precisions]
    looked_for = {spec.network("timm", *run) for run in runs}
    assert looked_for == {"", *prepared_names()}


@pytest.mark.parametrize(
    ("text", "loader", "fault"),
    [
        (SAFE.replace("torch", "tvm"), "timm", f"engine/name: needs one of {', '.join(ENGINES)}, found 'tvm'"),
        (SAFE.replace('"f32"', "32"), "timm", "engine/precision: needs one of f32, bf16, fp16, int8, found 32"),
        (SAFE.replace("f32", "int8"), "timm", "engine/precision: engine torch runs f32, bf16, fp16, found 'int8'"),
        (SAFE.replace("1, 4", "4"), "timm", "engine/batch_sizes: must contain 1 and no smaller number, found [4]"),
        ("wait_ms = -1\n" + SAFE, "timm", "engine/wait_ms: must be 0 or more milliseconds, found -1.0"),
        (
            SAFE + '[prepared]\nopenvino-f32 = "f32.xml"\n',
            "timm",
            "engine/prepared/openvino-f32: 'f32.xml' is not listed under [files]; list it with its sha256",
        ),
        (
            SAFE + '[prepared]\nopenvino-bf16 = "prepared/f32.xml"\n',
            "timm",
            "engine/prepared/openvino-bf16: is not a known key; remove it or correct its spelling",
        ),
        (
            SAFE + row("torch", "f32", 40),
            "timm",
            'engine/measured: needs one chosen row of machine "x86_64 avx2", found 0',
        ),
        (
            SAFE + row("torch", "f32", 40, chosen="true") * 2,
            "timm",
            'engine/measured: needs one chosen row of machine "x86_64 avx2", found 2',
        ),
        (
            SAFE + row("torch", "f32", 40, chosen="true"),
            "onnx",
            'engine/measured/0/engine: torch cannot run loader "onnx": needs one of the loaders that build a network',
        ),
        (
            SAFE + row("openvino", "bf16", 40, chosen="true"),
            "timm",
            "engine/measured/0/engine: openvino in bf16 needs openvino-f32 under [engine.prepared], "
            'or loader openvino or onnx, found loader "timm": prepare the model again',
        ),
        (
            SAFE + row("onnxruntime", "int8", 40, chosen="true"),
            "openvino",
            "engine/measured/0/engine: onnxruntime in int8 needs onnxruntime-int8 under [engine.prepared], "
            'or loader onnx, found loader "openvino": prepare the model again',
        ),
        (
            SAFE + row("torch", "f32", 40, chosen="true").replace("agreement", "agreed"),
            "timm",
            "engine/measured/0/agreement: needs a number, found nothing",
        ),
        (SAFE + SCALING.replace("= 2", "= 2.5"), "timm", "engine/scaling/0/cores: needs a whole number, found 2.5"),
    ],
)
def test_a_fault_names_the_key_and_the_requirement(text: str, loader: str, fault: str) -> None:
    assert f"m.toml: {fault}" in faults(text, loader)
