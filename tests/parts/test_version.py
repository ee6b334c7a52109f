"""One module states the version; all else that states one takes it from there."""

import re
import subprocess
import tomllib

from prometheus_client.parser import text_string_to_metric_families

from scripts.bundle.kit import read_kit
from scripts.cluster.config import ROOT
from tests.service import bare_environment
from tests.unit.worker.contract.test_settings import COMPLETE
from worker.api.openapi import document
from worker.api.routes.inference_protocol import SERVER
from worker.contract.settings import Settings
from worker.contract.version import VERSION
from worker.process.metrics import create_metrics

PLACE = "worker/contract/version.py"


def test_the_version_is_semantic() -> None:
    assert re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", VERSION)


def test_make_version_prints_it_and_nothing_else() -> None:
    command = ["make", "--no-print-directory", "version"]
    assert subprocess.check_output(command, cwd=ROOT, text=True, env=bare_environment()) == f"{VERSION}\n"


def test_the_project_takes_its_version_from_the_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    attribute = f"{PLACE.removesuffix('.py').replace('/', '.')}.VERSION"
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": attribute}


def test_the_worker_states_it_in_its_contract_its_protocol_and_its_metrics() -> None:
    assert document(Settings.from_env(COMPLETE))["info"]["version"] == VERSION
    assert SERVER["version"] == VERSION
    text = create_metrics(lambda: 0, lambda: 0).text().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert [sample.labels for sample in samples if sample.name == "wanwu_build_info"] == [{"version": VERSION}]


def test_a_bundle_s_kit_has_it() -> None:
    assert read_kit(ROOT).version == VERSION


def test_no_other_file_states_it_as_a_version_of_its_own() -> None:
    stated = rf"version[\"']?[:=\s]+[\"']?{re.escape(VERSION)}\b"
    found = subprocess.run(
        ["git", "grep", "--untracked", "-liP", stated, "--", ":!CHANGELOG.md"], cwd=ROOT, capture_output=True, text=True
    )
    assert found.stdout.split() == [PLACE]
