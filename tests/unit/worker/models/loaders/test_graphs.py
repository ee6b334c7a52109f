"""ONNX networks as exporters write them: each is added, and both engines answer as ONNX's own reference does."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from onnx import TensorProto
from onnxruntime.quantization import QuantFormat, quantize_static

from scripts.models.tools import add
from scripts.models.tools.prepare.converters import onnxruntime, openvino
from tests.folders import MEAN, SIZE, STD
from tests.graphs import CLASSES, OnnxSpec, by_reference, sides, write_onnx
from tests.options import model_add
from tests.unit.worker.engines.test_engines import COLOURS
from worker.contract.engine import EngineSpec
from worker.contract.toml_reader import ModelError
from worker.decode import Geometry
from worker.engines import load_engine
from worker.models.folder import ModelFolder, read_folder, verify_files
from worker.models.labels import activate
from worker.models.loaders import describe, exported
from worker.models.loaders.tensor_layout import find_layout, layout_for

Capture = pytest.CaptureFixture[str]
Step = tuple[str, Sequence[str], Sequence[str], dict[str, Any]]  # an operation of ONNX
Tail = Sequence[Step]
CLOSE, CLOSE_INT8 = 1e-3, 0.15  # of a logit; float16 rounds to 1e-3
# With noise, so that all images have nearly the same range, to which int8 is calibrated.
NOISE = np.random.default_rng(2).normal(0, 60, (4, SIZE, SIZE, 3))
PIXELS = np.clip(np.array(COLOURS[:4])[:, None, None] + NOISE, 0, 255).astype(np.uint8)
GREY = PIXELS[..., :1]
FLOAT, FLOAT16, UINT8, INT8, INT64 = (
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT64
)  # fmt: skip
LOGITS, SCORES = ("y", FLOAT, ("n", CLASSES)), ("p", FLOAT, ("n", CLASSES))
SOFTMAX: Step = ("Softmax", ["y"], ["p"], {"axis": -1})


def of(layout: str, **options: object) -> OnnxSpec:
    return OnnxSpec(sides(layout=layout), layout, **options)  # type: ignore[arg-type]


SPECS = {
    "nchw": of("NCHW"),
    "nhwc": of("NHWC"),
    "nhwc-one": OnnxSpec(sides(layout="NHWC", batch=1), "NHWC"),
    "nhwc-dynamic": OnnxSpec(sides(layout="NHWC", side="side"), "NHWC"),
    "nchw-dynamic": OnnxSpec(("n", "c", "h", "w")),
    "nhwc-no-batch": OnnxSpec(sides(layout="NHWC")[1:], "NHWC"),
    "nchw-no-batch": OnnxSpec(sides()[1:]),
    "batch-of-four": OnnxSpec(sides(batch=4), outputs=[("y", FLOAT, (4, CLASSES))]),
    # The batch is part of the graph, which therefore cannot be reshaped.
    "batch-inside": OnnxSpec(
        sides(batch=2), tail=[("Reshape", ["y", "two"], ["z"], {})], constants={"two": np.array([2, CLASSES])},
        outputs=[("z", FLOAT, (2, CLASSES))],
    ),
    "grey-nchw": OnnxSpec(sides(1)),
    "grey-nhwc": OnnxSpec(sides(1, "NHWC"), "NHWC"),
    "half": OnnxSpec(sides(), type=FLOAT16, half=True, outputs=[("y", FLOAT16, ("n", CLASSES))]),
    "half-nhwc-inside": OnnxSpec(sides(layout="NHWC"), "NHWC", half=True, outputs=[("y", FLOAT16, ("n", CLASSES))]),
    "bytes-nchw": of("NCHW", type=UINT8),
    "bytes-nhwc": of("NHWC", type=UINT8),
    "signed-bytes": of("NHWC", type=INT8),
    "external": of("NCHW", external=True),
    "old-opset": of("NHWC", opset=11, ir_version=6),
    "four-sides": of(
        "NCHW", tail=[("Reshape", ["y", "four"], ["z"], {})], constants={"four": np.array([-1, CLASSES, 1, 1])},
        outputs=[("z", FLOAT, ("n", CLASSES, 1, 1))],
    ),
    "features-first": of(
        "NCHW", tail=[("Identity", ["flat"], ["f"], {})], outputs=[("f", FLOAT, ("n", 8)), LOGITS],
    ),
}  # fmt: skip
CHOSEN = {"features-first": "y"}


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labels") / "en.txt"
    path.write_text("cat\ndog\ntea\n")
    return path


def added(source: Path, labels: Path, *options: str) -> ModelFolder:
    """Return the model folder that model-add makes of `source`, next to it."""
    out = source.parent / "added"
    out.mkdir()
    add.add(out, model_add("--name", "small", "--source", str(source), "--labels", f"en:{labels}", *options))
    folder = read_folder(out)
    verify_files(folder)
    if folder.input.geometry.size == (SIZE, SIZE):
        return folder
    # The network states no size of its own, and 224 pixels stand in.
    return replace(folder, input=replace(folder.input, geometry=Geometry((SIZE, SIZE), None, "bilinear")))


def inferred(
    folder: ModelFolder, engine: str, images: np.ndarray, prepared: dict[str, str] | None = None
) -> np.ndarray:
    precision = "int8" if prepared else "f32"
    spec = EngineSpec(engine, precision, (1, 4), prepared=prepared or {})
    runner = load_engine(replace(folder, engine=spec), "auto", threads=1)
    return np.concatenate([runner.infer(images[:1]), runner.infer(images[1:4])])


def normalised(folder: ModelFolder, images: np.ndarray) -> np.ndarray:
    values = images.astype(np.float32) / 255
    return (values - np.array(folder.input.mean, np.float32)) / np.array(folder.input.std, np.float32)


@pytest.mark.parametrize("name", SPECS)
def test_both_engines_answer_as_the_reference_in_f32_and_int8(name: str, labels: Path, tmp_path: Path) -> None:
    spec = SPECS[name]
    folder = added(write_onnx(tmp_path / "net.onnx", spec), labels)
    images = GREY if folder.input.pixels.channels == 1 else PIXELS
    expected = by_reference(tmp_path / "net.onnx", spec, images, normalised(folder, images), CHOSEN.get(name, ""))
    assert np.ptp(expected) > 20 * CLOSE
    close = CLOSE * max(1.0, float(np.abs(expected).max()))
    for engine in ("openvino", "onnxruntime"):
        found = inferred(folder, engine, images)
        assert found.dtype == np.float32
        assert found == pytest.approx(expected, abs=close)
    for converter, engine, suffix in ((openvino, "openvino", ".xml"), (onnxruntime, "onnxruntime", ".onnx")):
        if spec.half or spec.type != FLOAT:
            continue  # a network in float16, or one that takes bytes, is served as it is
        converter.quantise(folder.weights, np.concatenate([images] * 4), folder.input, folder.path / f"int8{suffix}")
        found = inferred(folder, engine, images, {f"{engine}-int8": f"int8{suffix}"})
        assert found == pytest.approx(expected, abs=CLOSE_INT8 * float(np.ptp(expected)))


def test_the_layout_that_an_xml_states_is_followed(labels: Path, tmp_path: Path) -> None:
    spec = OnnxSpec(("n", "h", "w", "c"), "NHWC")
    network = ov.Core().read_model(write_onnx(tmp_path / "net.onnx", spec))
    network.get_parameters()[0].layout = ov.Layout("NHWC")
    ov.save_model(network, tmp_path / "net.xml", compress_to_fp16=False)
    folder = added(tmp_path / "net.xml", labels)
    expected = by_reference(tmp_path / "net.onnx", spec, PIXELS, normalised(folder, PIXELS))
    assert inferred(folder, "openvino", PIXELS) == pytest.approx(expected, abs=CLOSE)


INSIDE: dict[str, tuple[Tail, str, str]] = {
    "softmax": ([SOFTMAX], "softmax", "none"),
    "behind an identity": ([SOFTMAX, ("Identity", ["p"], ["q"], {})], "softmax", "none"),
    "behind a cast": ([SOFTMAX, ("Cast", ["p"], ["q"], {"to": FLOAT})], "softmax", "none"),
    "behind a reshape": ([SOFTMAX, ("Reshape", ["p", "flat_shape"], ["q"], {})], "softmax", "none"),
    "behind a flatten": ([SOFTMAX, ("Flatten", ["p"], ["q"], {})], "softmax", "none"),
    "behind a squeeze": (
        [SOFTMAX, ("Unsqueeze", ["p", "axis"], ["u"], {}), ("Squeeze", ["u", "axis"], ["q"], {})], "softmax", "none",
    ),
    "in several steps": (
        [
            ("ReduceMax", ["y"], ["m"], {"axes": [1]}), ("Sub", ["y", "m"], ["d"], {}), ("Exp", ["d"], ["e"], {}),
            ("ReduceSum", ["e", "axis"], ["s"], {}), ("Div", ["e", "s"], ["q"], {}),
        ],
        "softmax", "none",
    ),
    "sigmoid": ([("Sigmoid", ["y"], ["q"], {})], "sigmoid", "none"),
    "log softmax": ([("LogSoftmax", ["y"], ["q"], {"axis": 1})], "softmax", "softmax"),
    "none": ([("Identity", ["y"], ["q"], {})], "softmax", "softmax"),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
def test_an_activation_inside_is_not_applied_again(name: str, labels: Path, tmp_path: Path, capsys: Capture) -> None:
    tail, kind, activation = INSIDE[name]
    last = tail[-1][2][0]
    constants = {"flat_shape": np.array([-1, CLASSES]), "axis": np.array([1])}
    spec = of("NCHW", tail=tail, outputs=[(last, FLOAT, ("n", CLASSES))], constants=constants, opset=13, ir_version=8)
    folder = added(write_onnx(tmp_path / "net.onnx", spec), labels)
    assert folder.output.activation == activation
    note = f"   activation none: the network ends in a {kind} of its own"
    assert (note in capsys.readouterr().out.splitlines()) is (activation == "none")
    plain = of("NCHW", constants=constants, opset=13, ir_version=8)
    logits = by_reference(write_onnx(tmp_path / "plain.onnx", plain), plain, PIXELS, normalised(folder, PIXELS))
    for engine in ("openvino", "onnxruntime"):
        scores = folder.output.scores(inferred(folder, engine, PIXELS))
        assert scores == pytest.approx(activate(logits, kind), abs=CLOSE)


@pytest.mark.parametrize(("format", "loads"), [(QuantFormat.QDQ, True), (QuantFormat.QOperator, False)])
def test_a_network_that_is_int8_already_is_served_as_it_is(
    format: QuantFormat, loads: bool, labels: Path, tmp_path: Path
) -> None:
    spec = of("NHWC", tail=[SOFTMAX], outputs=[SCORES])
    exact = write_onnx(tmp_path / "net.onnx", spec)
    found = describe(exact)
    values = (PIXELS.astype(np.float32) / 255 - np.array(found.mean, np.float32)) / np.array(found.std, np.float32)
    samples = onnxruntime.Samples("x", (value[None] for value in values))
    quantize_static(exact, tmp_path / "int8.onnx", samples, quant_format=format)
    if not loads:
        with pytest.raises(ModelError, match=r"; export it with ONNX's own operations, an int8 one in QDQ format"):
            added(tmp_path / "int8.onnx", labels)
        return
    folder = added(tmp_path / "int8.onnx", labels)
    assert folder.output.activation == "none"
    assert exported.is_quantised(folder.weights)
    expected = by_reference(exact, spec, PIXELS, values, "p")
    for engine in ("openvino", "onnxruntime"):
        assert inferred(folder, engine, PIXELS) == pytest.approx(expected, abs=CLOSE_INT8)


def test_of_several_outputs_the_one_that_fits_the_labels_is_taken_and_said(
    labels: Path, tmp_path: Path, capsys: Capture
) -> None:
    tail = [SOFTMAX, ("ArgMax", ["y"], ["best"], {"axis": 1, "keepdims": 0}), ("Identity", ["flat"], ["f"], {})]
    outputs = [("best", INT64, ("n",)), ("f", FLOAT, ("n", 8)), LOGITS, SCORES]
    source = write_onnx(tmp_path / "net.onnx", of("NHWC", tail=tail, outputs=outputs))
    folder = added(source, labels)
    assert (folder.output.tensor, folder.output.activation) == ("y", "softmax")
    assert "   output y (OUTPUT= chooses another: best, f, p)" in capsys.readouterr().out.splitlines()
    (tmp_path / "other").mkdir()
    other = added(source.rename(tmp_path / "other/net.onnx"), labels, "--output", "p")
    assert (other.output.tensor, other.output.activation) == ("p", "none")
    for engine in ("openvino", "onnxruntime"):
        scores = [one.output.scores(inferred(one, engine, PIXELS)) for one in (folder, other)]
        assert scores[0] == pytest.approx(scores[1], abs=CLOSE)


INTEGERS = (
    "it holds whole numbers, such as the index of the best class, needed one score for each class: "
    "export the network without its last step (ArgMax or TopK)"
)
ARGMAX: Step = ("ArgMax", ["y"], ["best"], {"axis": 1, "keepdims": 0})
FEATURES: Step = ("Identity", ["relu"], ["map"], {})
MAP = ("map", FLOAT, ("n", 8, 15, 15))
REFUSED: dict[str, tuple[OnnxSpec, tuple[str, ...], str]] = {
    "argmax alone": (
        of("NCHW", tail=[ARGMAX], outputs=[("best", INT64, ("n",))]), (), f"output best [?] i64: {INTEGERS}",
    ),
    "argmax chosen": (
        of("NCHW", tail=[ARGMAX], outputs=[LOGITS, ("best", INT64, ("n",))]), ("--output", "best"),
        f"output best [?] i64: {INTEGERS}",
    ),
    "an unknown output": (
        of("NCHW", tail=[SOFTMAX], outputs=[LOGITS, SCORES]), ("--output", "logits"),
        "OUTPUT: found 'logits', the network has y [?,3] f32, p [?,3] f32",
    ),
    "no output that fits": (
        of("NCHW", tail=[("Identity", ["flat"], ["f"], {}), FEATURES], outputs=[("f", FLOAT, ("n", 8)), MAP]), (),
        "labels: found 3, but none of the outputs has one score for each: f [?,8] f32, map [?,8,15,15] f32: "
        "needed as many labels as scores, or the network exported with its scores",
    ),
    "features alone": (
        of("NCHW", tail=[FEATURES], outputs=[MAP]), (),
        "output map [?,8,15,15] f32: needed one score for each class, [N, classes]: "
        "export the network with its classifier, as it ends there",
    ),
    "a second input": (
        of("NCHW", inputs=["mask"]), (),
        "F/net.onnx: takes x [?,3,32,32], mask [1,4], needed one input, of images [N, channels, height, width] or "
        "[N, height, width, channels]: export the network with that input alone",
    ),
    "sides that suit both layouts": (
        OnnxSpec(("n", 3, 3, 3)), (),
        "F/net.onnx: takes [?,3,3,3], where the channels may come first or last: "
        "export it with a height and width that differ from the number of channels, or with dynamic ones",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_classifier_of_images_is_refused(name: str, labels: Path, tmp_path: Path) -> None:
    spec, options, fault = REFUSED[name]
    with pytest.raises(ModelError) as error:
        added(write_onnx(tmp_path / "net.onnx", spec), labels, *options)
    assert str(error.value).replace(str(tmp_path), "F") == fault


ONE: Step = ("ReduceMean", ["y"], ["one"], {"axes": [1], "keepdims": 1})
ONE_SOFTMAX: Step = ("Softmax", ["one"], ["p"], {"axis": 1})
OLD: dict[str, Any] = {"opset": 13, "ir_version": 8}
NEEDED = "needed one label and ACTIVATION=sigmoid, or a network exported with two outputs"


def test_one_output_needs_a_sigmoid(labels: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.txt"
    one.write_text("cat\n")
    source = write_onnx(tmp_path / "net.onnx", of("NCHW", tail=[ONE], outputs=[("one", FLOAT, ("n", 1))], **OLD))
    softmaxed = of("NCHW", tail=[ONE, ONE_SOFTMAX], outputs=[("p", FLOAT, ("n", 1))], **OLD)
    for network, names, fault in (
        (source, one, f"ACTIVATION: found softmax for one output, which it makes 1 for every image: {NEEDED}"),
        (source, labels, f"labels: found 3, the network has 1 output: {NEEDED}"),
        (
            write_onnx(tmp_path / "softmax.onnx", softmaxed), one,
            "output p [?,1] f32: it ends in a softmax of one class, which is 1 for every image: "
            "needed two classes, or a sigmoid: export it so",
        ),
    ):  # fmt: skip
        with pytest.raises(ModelError) as error:
            added(network, names)
        assert str(error.value) == fault
        shutil.rmtree(tmp_path / "added")
    folder = added(source, one, "--activation", "sigmoid")
    scores = folder.output.scores(inferred(folder, "openvino", PIXELS))
    assert np.ptp(scores) > CLOSE


def test_a_file_newer_than_onnx_runtime_is_named(labels: Path, tmp_path: Path) -> None:
    folder = added(write_onnx(tmp_path / "net.onnx", of("NCHW", ir_version=99)), labels)  # OpenVINO reads it
    with pytest.raises(ModelError, match=r"Unsupported model IR version: 99.*; export it for an older opset and IR"):
        inferred(folder, "onnxruntime", PIXELS)


INSIDE_RANGES: dict[str, tuple[Tail, dict[str, Any], tuple[float, float] | None]] = {
    "divided by 255": ([("Div", ["x", "c"], ["h"], {})], {"c": np.float32(255)}, (0, 1 / 255)),
    "from -1 to 1": (
        [("Mul", ["x", "c"], ["s"], {}), ("Sub", ["s", "one"], ["h"], {})],
        {"c": np.float32(1 / 127.5), "one": np.float32(1)}, (0, 1 / 255),
    ),
    "Caffe's mean": ([("Sub", ["x", "c"], ["h"], {})], {"c": np.array([124, 117, 104], np.float32)}, (0, 1 / 255)),
    "ImageNet's": (
        [("Sub", ["x", "m"], ["s"], {}), ("Div", ["s", "c"], ["h"], {})],
        {"m": np.array(MEAN, np.float32), "c": np.array(STD, np.float32)}, (0, 1),
    ),
    "none": ((), {}, None),
    "a layer of the network": ([("Mul", ["x", "c"], ["h"], {})], {"c": np.float32(1.1)}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE_RANGES)
def test_normalisation_inside_the_network_is_not_done_before_it(name: str, tmp_path: Path) -> None:
    head, constants, expected = INSIDE_RANGES[name]
    found = describe(write_onnx(tmp_path / "net.onnx", of("NHWC", head=head, constants=constants)))
    mean, std = ((expected[0],) * 3, (expected[1],) * 3) if expected else (MEAN, STD)
    assert (found.mean, found.std) == (mean, std)
    assert found.states_preprocessing == bool(expected)


NAMES = {0: "cat", 1: "dog", 2: "tea"}
METADATA = {"task": "classify", "names": str(NAMES), "imgsz": f"[{SIZE}, {SIZE}]", "stride": "1"}


@pytest.mark.parametrize("inside", [True, False], ids=["in the file", "in metadata.yaml"])
def test_what_ultralytics_writes_with_a_classifier_is_followed(inside: bool, tmp_path: Path) -> None:
    spec = of("NCHW", tail=[SOFTMAX], outputs=[SCORES], metadata=METADATA if inside else {})
    write_onnx(tmp_path / "best.onnx", spec)
    if not inside:
        (tmp_path / "metadata.yaml").write_text(f"task: classify\nimgsz: [{SIZE}, {SIZE}]\nnames: {NAMES}\n")
    found = describe(tmp_path / "best.onnx")
    assert (found.mean, found.std) == ((0.0,) * 3, (1.0,) * 3)
    assert found.geometry == Geometry((SIZE, SIZE), SIZE, "bilinear")
    assert found.labels == {"en": ("cat", "dog", "tea")}
    assert found.notes == ()
    write_onnx(tmp_path / "box.onnx", replace(spec, metadata=METADATA | {"task": "detect"}))
    if inside:
        with pytest.raises(ModelError, match=r"box\.onnx: says task detect, needed classify: export a classifier"):
            describe(tmp_path / "box.onnx")


@pytest.mark.parametrize(
    ("sides", "layout"),
    [
        ((3, 224, 224), "NCHW"), ((224, 224, 3), "NHWC"), ((1, 28, 28), "NCHW"), ((28, 28, 1), "NHWC"),
        ((None, None, 3), "NHWC"), ((3, None, None), "NCHW"), ((None, 224, 224), "NCHW"), ((224, 224, None), "NHWC"),
        ((12, 64, 64), "NCHW"), ((64, 64, 12), "NHWC"), ((64, 48, 4), "NHWC"), ((200, 32, 32), "NCHW"),
        ((12, None, None), "NCHW"), ((None, None, 12), "NHWC"), ((None, None, None), "NCHW"),
        ((3, 3, 3), None), ((1, 1, 1), None), ((64, 64, 64), None), ((3, 224, 1), None), ((1, 28, 1), None),
    ],
)  # fmt: skip
def test_the_channels_are_found(sides: tuple[int | None, ...], layout: str | None) -> None:
    assert find_layout(sides) == layout


def test_an_engine_knows_the_images_and_so_the_layout() -> None:
    assert layout_for((None, None, 3), (8, 9, 3)) == "NHWC"
    assert layout_for((3, 8, 9), (8, 9, 3)) == layout_for((None, None, None), (8, 9, 3)) == "NCHW"
    assert (layout_for((3, 9, 3), (9, 3, 3)), layout_for((9, 3, 3), (9, 3, 3))) == ("NCHW", "NHWC")
    assert layout_for((3, 224, 224), (32, 32, 3)) == "NCHW"  # another size, to which it may be reshaped
    assert layout_for((224, 224, 3), (32, 32, 3)) == "NHWC"


def test_a_folder_of_several_precisions_is_one_model(labels: Path, tmp_path: Path, capsys: Capture) -> None:
    for name in ("model.onnx", "model_fp16.onnx", "model_quantized.onnx"):
        write_onnx(tmp_path / "optimum/onnx" / name, of("NCHW"))
    (tmp_path / "optimum/config.json").write_text(
        json.dumps({"model_type": "vit", "id2label": {"2": "tea", "0": "cat", "1": "dog"}})
    )
    found = describe(tmp_path / "optimum")
    assert (found.loader, found.weights, found.labels) == ("onnx", "model.onnx", {"en": ("cat", "dog", "tea")})
    assert found.notes[0] == "network model.onnx (SOURCE= may name another: model_fp16.onnx, model_quantized.onnx)"
    assert describe(tmp_path / "optimum/onnx/model_quantized.onnx").labels == {"en": ("cat", "dog", "tea")}
