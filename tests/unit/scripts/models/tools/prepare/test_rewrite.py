"""model.toml rewritten after the preparation: only [engine] and the list of files change."""

import tomllib
from dataclasses import replace

import pytest

from scripts.cluster.config import ROOT
from scripts.models.tools.rewrite import rewritten
from worker.contract.decoding import DecodingMeasurement
from worker.contract.engine import EngineSpec, Measurement, Scaling
from worker.contract.toml_reader import ModelError

ROW = Measurement("m", "openvino", "int8", (1, 4), 512.34, 0.995, 0.0131, True)
SPEC = EngineSpec(
    "openvino",
    "f32",
    (1, 4),
    0.0,
    {"openvino-f32": "prepared/f32.xml"},
    (ROW,),
    (Scaling("m", 2, 301.04, 6.123),),
    "scaled",
    (DecodingMeasurement("large", 50, 0.98765, 0.0123456),),
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
[[engine.measured]]
chosen = true

# stays with what follows
[[golden]]
image = "g"
# the end
"""
EXPECTED = """# by hand
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
decode = "scaled"

[engine.prepared]
openvino-f32 = "prepared/f32.xml"

[[engine.measured]]
machine = "m"
engine = "openvino"
precision = "int8"
batch_sizes = [1, 4]
images_per_s = 512.3
agreement = 0.995
difference = 0.0131
chosen = true

[[engine.scaling]]
machine = "m"
cores = 2
images_per_s = 301.0
latency_ms = 6.12

[[engine.decoding]]
size = "large"
images = 50
agreement = 0.9877
difference = 0.012346

# stays with what follows
[[golden]]
image = "g"
# the end
"""


def test_only_engine_and_prepared_files_change() -> None:
    assert rewritten(TEXT, "model.toml", {"prepared/f32.xml": "3"}, SPEC) == EXPECTED


def test_a_quick_measurement_is_marked() -> None:
    quick = replace(SPEC, measured=(replace(ROW, quick=True),))
    expected = EXPECTED.replace("chosen = true\n", "chosen = true\nquick = true\n")
    assert rewritten(TEXT, "model.toml", {"prepared/f32.xml": "3"}, quick) == expected


def test_rewriting_the_same_values_changes_nothing() -> None:
    assert rewritten(EXPECTED, "model.toml", {"prepared/f32.xml": "3"}, SPEC) == EXPECTED


def test_every_other_byte_of_the_embedded_model_stays() -> None:
    before = (ROOT / "worker/photos/model.toml").read_text()
    after = rewritten(before, "model.toml", {}, SPEC)
    assert after[: before.index("[engine]")] == before[: before.index("[engine]")]


@pytest.mark.parametrize(
    "text",
    [
        'files = { a = "1" } # one\n[engine]\nname = "x"\n# end\n',
        'engine.name = "x"\n# one\n[files]\n"a" = "1"\n# end\n',
        '# one\n[files]\n"a" = """\n[engine]\n"""\n[engine]\nname = "x"\n# end\n',
        '# one\nengine = { name = "x" }\n[files] # end\n',
        '# one\r\n[files]\r\n"a" = "1"\r\n[engine]\r\nname = "x"\r\n# end\r\n',
    ],
)
def test_other_layouts_keep_their_comments(text: str) -> None:
    after = rewritten(text, "model.toml", {"prepared/f32.xml": "3"}, SPEC)
    assert tomllib.loads(after)["files"] == tomllib.loads(text)["files"] | {"prepared/f32.xml": "3"}
    assert tomllib.loads(after)["engine"] == tomllib.loads(EXPECTED)["engine"]
    assert ("# one" in after, "# end" in after) == (True, True)


def test_tables_in_several_pieces_are_refused() -> None:
    text = '[files]\n[engine]\nname = "x"\n[[golden]]\nimage = "g"\n[[engine.measured]]\nchosen = true\n'
    with pytest.raises(ModelError) as caught:
        rewritten(text, "m/model.toml", {"prepared/f32.xml": "3"}, SPEC)
    assert str(caught.value) == (
        "m/model.toml: found other tables between those of [engine] or [files], needed each of the two in "
        "one piece: move its tables together, then prepare the model again"
    )
