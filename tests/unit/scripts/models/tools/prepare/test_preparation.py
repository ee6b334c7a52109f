"""Which prepared networks a new preparation keeps."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.models.tools.prepare.effort import QUICK, THOROUGH, Effort
from scripts.models.tools.prepare.preparation import reusable
from worker.contract.engine import EngineSpec, Measurement

QUICKLY = Measurement("here", "torch", "f32", (1,), 10.0, 1.0, 0.0, chosen=False, quick=True)
F32, INT8 = {"openvino-f32": "prepared/f32.xml"}, {"openvino-int8": "prepared/int8.xml"}
OWN = Path("images")


@pytest.mark.parametrize(
    ("measured", "own_images", "effort", "kept"),
    [
        (QUICKLY, None, QUICK, F32 | INT8),
        (QUICKLY, None, THOROUGH, F32),
        (QUICKLY, OWN, QUICK, F32),
        (replace(QUICKLY, quick=False), None, THOROUGH, F32 | INT8),
        (replace(QUICKLY, quick=False), None, QUICK, F32 | INT8),
        (replace(QUICKLY, quick=False), OWN, THOROUGH, F32),
    ],
)
def test_int8_is_made_again_from_more_images_or_the_users(
    measured: Measurement, own_images: Path | None, effort: Effort, kept: dict[str, str]
) -> None:
    engine = EngineSpec("openvino", "f32", (1,), prepared=F32 | INT8, measured=(measured,))
    assert reusable(engine, own_images, effort) == kept
