"""What is read of a model folder, also of one that cannot be served."""

from pathlib import Path

from scripts.models.model_store import EMBEDDED
from scripts.models.summary import ModelSummary, read_summary
from worker.contract.engine import EngineSpec, Measurement
from worker.contract.engines import ENGINES


def test_the_summary_is_read_from_model_toml() -> None:
    summary = read_summary(EMBEDDED)
    engine = EngineSpec("openvino", "int8", (1, 4))
    assert (summary.version, summary.loader, summary.engine, summary.fault) == ("1", "openvino", engine, "")
    assert (summary.labels, summary.input, summary.licence) == ({"en": 1000, "zh": 1000}, (224, 224), "Apache-2.0")
    assert summary.description.keys() == {"en", "zh"}


def test_the_summary_of_an_unreadable_folder_has_the_fault(models: Path) -> None:
    assert read_summary(models / "empty").fault == f"{models}/empty/model.toml: No such file or directory"
    (models / "empty/model.toml").write_text('version = "1"\n')
    assert read_summary(models / "empty").fault == (
        f"{models}/empty/model.toml: cannot be read as a model folder: KeyError('output')"
    )


def test_needs_and_speed_are_those_of_the_choice_for_the_machine_kind() -> None:
    rows = (
        Measurement("fast", "torch", "fp16", (1,), 900.0, 1.0, 0.0, True),
        Measurement("slow", "openvino", "int8", (1,), 9.0, 1.0, 0.0, True),
        Measurement("slow", "torch", "f32", (1,), 3.0, 1.0, 0.0, False),
    )
    summary = ModelSummary(engine=EngineSpec("torch", "f32", (1,), measured=rows))
    machines = ("fast", "slow", "other")
    assert [summary.needs(machine).torch for machine in machines] == [True, False, True]
    assert [summary.images_per_s(machine) for machine in machines] == [900.0, 9.0, None]
    assert not ModelSummary(fault="unreadable").needs("fast").torch


def test_an_engine_that_a_worker_would_refuse_is_a_fault(models: Path) -> None:
    manifest = models / "copy/model.toml"
    manifest.write_text(manifest.read_text().replace('name = "openvino"\nprecision', 'name = "fast"\nprecision'))
    assert read_summary(models / "copy").fault == (
        f"{manifest}: engine/name: needs one of {', '.join(ENGINES)}, found 'fast'"
    )
