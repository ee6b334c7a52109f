"""model.toml written anew with what was prepared and measured: only [engine] and the list of files change."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.cluster.config import ROOT
from scripts.models.tools.rewrite import rewritten
from worker.contract.engine import EngineSpec, Measured, Scaling
from worker.contract.fields import ModelError

ROW = Measured("m", "openvino", "int8", (1, 4), 512.34, 0.995, 0.0131, True)
SPEC = EngineSpec(
    "openvino", "f32", (1, 4), 0.0, {"openvino-f32": "prepared/f32.xml"}, (ROW,), (Scaling("m", 2, 301.04, 6.123),)
)
TEXT = """# by hand
name = "x"   # a name
[files]
"a" = "1"  # first
"prepared/old.xml" = "2"

# how it looks
[input]
size = [ 1, 1 ]

# the engine
[engine]
name = "torch" # slow
[engine.prepared]
openvino-f32 = "prepared/old.xml"
# stays with what follows
[[golden]]
image = "g"
[[engine.measured]]
chosen = true
# the end
"""
WANTED = """# by hand
name = "x"   # a name
[files]
"a" = "1"  # first
"prepared/f32.xml" = "3"

# how it looks
[input]
size = [ 1, 1 ]

# the engine
[engine]
name = "openvino"
precision = "f32"
batch_sizes = [1, 4]

[engine.prepared]
openvino-f32 = "prepared/f32.xml"

[[engine.measured]]
machine = "m"
engine = "openvino"
precision = "int8"
batch_sizes = [1, 4]
images_per_s = 512.3
agreement = 0.9950
difference = 0.013100
chosen = true

[[engine.scaling]]
machine = "m"
cores = 2
images_per_s = 301.0
latency_ms = 6.12
# stays with what follows
[[golden]]
image = "g"
# the end
"""


def test_only_engine_and_prepared_files_change() -> None:
    assert rewritten(TEXT, "model.toml", {"prepared/f32.xml": "3"}, SPEC) == WANTED


def test_what_was_measured_quickly_says_so() -> None:
    quick = replace(SPEC, measured=(replace(ROW, quick=True),))
    wanted = WANTED.replace("chosen = true\n", "chosen = true\nquick = true\n")
    assert rewritten(TEXT, "model.toml", {"prepared/f32.xml": "3"}, quick) == wanted


def test_writing_the_same_again_changes_nothing() -> None:
    assert rewritten(WANTED, "model.toml", {"prepared/f32.xml": "3"}, SPEC) == WANTED


def test_the_photos_keeps_every_other_byte() -> None:
    before = (ROOT / "worker/photos/model.toml").read_text()
    after = rewritten(before, "model.toml", {}, SPEC)
    assert after[: before.index("[engine]")] == before[: before.index("[engine]")]


@pytest.mark.parametrize(
    "text",
    [
        'files = { a = "1" }\n[engine]\nname = "x"\n',
        'engine.name = "x"\n[files]\n',
        '[files]\n"a" = """\n[engine]\n"""\n[engine]\nname = "x"\n',
    ],
)
def test_another_layout_is_refused_rather_than_spoilt(text: str) -> None:
    assert tomllib.loads(text)
    with pytest.raises(ModelError) as refusal:
        rewritten(text, str(Path("m/model.toml")), {"prepared/f32.xml": "3"}, SPEC)
    assert str(refusal.value) == (
        "m/model.toml: found [files] or [engine] in another layout than a table under its own header: "
        "write each as one, then prepare the model again"
    )
