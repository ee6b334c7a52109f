"""The tool behind `make model-add`, on small real models: the exact error messages."""

import json
from pathlib import Path

import pytest
import torch

from scripts.models.tools import add, verify
from scripts.models.tools.input_settings import ASSUMED
from scripts.models.tools.manifest import BATCH_SIZES
from tests.folders import MEAN, RED, SIZE, STD, fruit_folder, image, openvino_folder, transformers_folder
from tests.options import model_add
from worker.contract.files import sha256
from worker.decode import Geometry
from worker.models import torchvision_ops
from worker.models.folder import read_folder, verify_files

Capture = pytest.CaptureFixture[str]
NO_LABELS = "{path}/weights.pth: found no labels: set LABELS=zh:FILE,en:FILE or one of them, one label a line, 3 in all"
MOBILENET = ("--loader", "torchvision", "--architecture", "mobilenet_v3_small")


@pytest.fixture(scope="module")
def source_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Local files: a state dict for three classes, label files, an image, and invalid ones."""
    torchvision_ops.make_importable()
    from torchvision.models import get_model

    path = tmp_path_factory.mktemp("source_files")
    torch.manual_seed(0)
    torch.save(get_model("mobilenet_v3_small", weights=None, num_classes=3).state_dict(), path / "weights.pth")
    image(RED).save(path / "red image.png")
    texts = {
        "en.txt": "cat\ndog\ntea\n",
        "two.txt": "cat\ndog\n",
        "blank.txt": "cat\n\ntea\n",
        "empty.txt": "",
        "names.json": '{"1": "dog", "2": "tea", "0": "cat"}',
        "mark.txt": "\ufeffcat\ndog\ntea\n",
        "pointer.pth": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    }
    for name, text in texts.items():
        (path / name).write_text(text, encoding="utf-8")
    (path / "latin.txt").write_bytes(b"caf\xe9\n")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def run_add(source_files: Path, out: Path, source: str, *arguments: str) -> int:
    command = ["--source", source_files / source, "--name", "small", *MOBILENET]
    return add.main(out, model_add(*command, *(part.format(path=source_files) for part in arguments)))


def test_a_state_dict_becomes_a_valid_model_folder(source_files: Path, out: Path, capsys: Capture) -> None:
    arguments = ("--labels", "en:{path}/mark.txt", "--golden", "{path}/red image.png")
    assert run_add(source_files, out, "weights.pth", *arguments) == 0
    folder = read_folder(out)
    verify_files(folder)
    assert (folder.name, folder.version, folder.loader, folder.architecture) == (
        "small", "1", "torchvision", "mobilenet_v3_small",
    )  # fmt: skip
    assert folder.output.labels.names == {"en": ("cat", "dog", "tea")}
    assert (folder.engine.name, folder.engine.precision, folder.engine.batch_sizes) == ("torch", "f32", BATCH_SIZES)
    assert folder.golden[0].image.read_bytes() == (source_files / "red image.png").read_bytes()
    assert "GOLDEN=" not in capsys.readouterr().out


def test_a_network_is_adapted_to_grey_images_on_request(source_files: Path, out: Path, capsys: Capture) -> None:
    assert run_add(source_files, out, "weights.pth", "--labels", "en:{path}/en.txt", "--channels", "1") == 0
    folder = read_folder(out)
    assert folder.input.shape == (224, 224, 1)
    assert [round(value, 3) for value in (*folder.input.mean, *folder.input.std)] == [0.449, 0.226]
    assert (
        "   input 224 x 224, grey, centre of the image at 256, bilinear, mean [0.449], std [0.226]"
        in capsys.readouterr().out.splitlines()
    )


def test_a_network_of_32_pixels_is_added_with_its_own_preprocessing(
    source_files: Path, out: Path, capsys: Capture
) -> None:
    values = (
        "--mean=0.4914,0.4822,0.4465",
        "--std=0.2",
        "--size",
        "32",
        "--interpolation",
        "bicubic",
        "--range=0,4095",
    )
    assert run_add(source_files, out, "weights.pth", "--labels", "en:{path}/en.txt", *values) == 0
    found = read_folder(out).input
    assert (found.geometry, found.pixels.range) == (Geometry((32, 32), None, "bicubic"), (0, 4095))
    assert (found.mean, found.std) == ((0.4914, 0.4822, 0.4465), (0.2,) * 3)
    assert verify.main(out) == 0
    assert "assumed" not in capsys.readouterr().out


def test_how_a_label_file_was_read_is_said(source_files: Path, out: Path, capsys: Capture) -> None:
    assert run_add(source_files, out, "weights.pth", "--labels", "en:{path}/names.json") == 0
    assert read_folder(out).output.labels.names == {"en": ("cat", "dog", "tea")}
    said = capsys.readouterr().out.splitlines()
    assert "   names.json: the labels are ordered by their indices" in said


def test_what_was_assumed_is_said(source_files: Path, out: Path, capsys: Capture) -> None:
    assert run_add(source_files, out, "weights.pth", "--labels", "en:{path}/en.txt") == 0
    assert f"   {ASSUMED}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("source", "arguments", "lines"),
    [
        ("weights.pth", (), [NO_LABELS]),
        (
            "weights.pth",
            ("--labels", "en:{path}/empty.txt"),
            [NO_LABELS],
        ),
        (
            "weights.pth",
            ("--labels", "zh:{path}/latin.txt"),
            [
                "{path}/latin.txt: byte 3 is not UTF-8: save the file as UTF-8, with `iconv -f cp1252 -t utf-8` "
                "if it is in Windows-1252, as it seems"
            ],
        ),
        (
            "weights.pth",
            ("--labels", "en:{path}/en.txt,zh:{path}/two.txt"),
            ["labels: found en 3, zh 2, needed the same number in every language"],
        ),
        (
            "weights.pth",
            ("--labels", "en:{path}/blank.txt"),
            [
                "{path}/model.toml: output/labels/en: labels.en.txt has a blank line 2; "
                "one label a line, line number = index"
            ],
        ),
        (
            "weights.pth",
            ("--labels", "en:{path}/two.txt"),
            ["labels: found 2, the network has 3 outputs: needed one for each"],
        ),
        (
            "weights.pth",
            ("--labels", "en:{path}/en.txt", "--channels", "4"),
            ["GOLDEN: found none, needed an image of 4 bands, such as a TIFF"],
        ),
        (
            "weights.pth",
            ("--labels", "en:{path}/en.txt", "--channels", "4", "--golden", "{path}/red image.png"),
            ["{path}/red image.png: found an image of 3 bands, needed 4 for this model: send one with all of them"],
        ),
        (
            "weights.pth",
            ("--labels", "en:{path}/en.txt", "--golden", "{path}/two.txt"),
            [
                "{path}/two.txt: found no image of a served type, needed one: "
                "send JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC"
            ],
        ),
        ("pointer.pth", (), ["{path}/pointer.pth: a Git LFS pointer, not the weights; fetch them with `git lfs pull`"]),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_the_reason(
    source_files: Path, out: Path, capsys: Capture, source: str, arguments: tuple[str, ...], lines: list[str]
) -> None:
    assert run_add(source_files, out, source, *arguments) == 1
    expected = [f"!! {line.format(path=source_files)}" for line in lines]
    assert capsys.readouterr().err.splitlines() == expected


CODE = """
import torch

def build(classes: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, classes))
"""


def test_code_in_a_model_runs_only_if_it_is_trusted(tmp_path: Path, source_files: Path, capsys: Capture) -> None:
    own, out = tmp_path / "own", tmp_path / "out"
    own.mkdir()
    out.mkdir()
    (own / "network.py").write_text(CODE)
    torch.save({"2.weight": torch.eye(3), "2.bias": torch.zeros(3)}, own / "weights.pth")
    command = ["--source", own, "--name", "own", "--labels", f"en:{source_files / 'en.txt'}"]
    assert add.main(out, model_add(*command)) == 1
    assert capsys.readouterr().err == (
        f"!! {own}: network.py is code that would run in the worker: read it, and if you trust it, set TRUST_CODE=1\n"
    )
    assert not any(out.iterdir())
    assert add.main(out, model_add(*command, "--trust-code")) == 0
    assert read_folder(out).trust_code


def test_more_labels_than_outputs_of_a_prepared_network_are_detected(tmp_path: Path, capsys: Capture) -> None:
    folder = openvino_folder(tmp_path / "bright")
    manifest = folder / "model.toml"
    labels = folder / "labels.en.txt"
    labels.write_text("cat\ndog\ntea\ntoo many\n")
    text = manifest.read_text().replace('zh = "labels.zh.txt"\n', "")
    digest = sha256(labels)
    lines = [f'"labels.en.txt" = "{digest}"' if line.startswith('"labels.en') else line for line in text.splitlines()]
    manifest.write_text("\n".join(lines))
    assert verify.main(folder) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        '{"check": "labels", "ok": false, "found": "labels: found 4, the network has 3 outputs: needed one for each"}'
    )


def test_a_folder_with_attributes_is_verified_by_its_main_classes(tmp_path: Path, capsys: Capture) -> None:
    assert verify.main(fruit_folder(tmp_path / "fruit")) == 0
    checks = {check["check"]: check["found"] for check in map(json.loads, capsys.readouterr().out.splitlines())}
    assert checks["labels"] == "7 in zh, en, ja, as many as the network has outputs, 4 of them in 2 groups"
    assert checks["golden"] == "1 answered as recorded"


def test_a_changed_answer_is_detected(tmp_path: Path, capsys: Capture) -> None:
    folder = openvino_folder(tmp_path / "bright")
    golden = read_folder(folder).golden[0]
    manifest = folder / "model.toml"
    manifest.write_text(manifest.read_text().replace(f"score = {golden.score}", "score = 0.1"))
    assert verify.main(folder) == 1
    checks = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    shown = read_folder(folder).output.labels.name(golden.index, "both")
    assert [check["ok"] for check in checks] == [True, True, True, True, True, False]
    assert checks[-1]["check"] == "golden"
    assert checks[-1]["found"] == (
        f"{golden.image}: answered {shown} ({golden.score:.3f}), expected {golden.label} (0.100); "
        "the model, its input settings or its engine changed"
    )


def test_preprocessing_that_contradicts_the_models_own_files_is_detected(tmp_path: Path, capsys: Capture) -> None:
    torchvision_ops.make_importable()
    from transformers import ViTImageProcessor

    folder = transformers_folder(tmp_path / "vit")
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    own, manifest = folder / "preprocessor_config.json", folder / "model.toml"
    listed = manifest.read_text().replace("[files]\n", f'[files]\n"{own.name}" = "{sha256(own)}"\n')
    manifest.write_text(listed)
    assert verify.main(folder) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["check"], last["ok"]) == ("preprocessing", False)
    assert last["found"].startswith(f"{manifest}: [input] is (Geometry(")
    assert last["found"].endswith(", [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]): correct one of the two")
    corrected = listed.replace("resize = 36\n", "").replace(str(list(MEAN)), "[0.5, 0.5, 0.5]")
    manifest.write_text(corrected.replace(str(list(STD)), "[0.5, 0.5, 0.5]"))
    verify.main(folder)  # the golden answer differs now
    checks = {check["check"]: check["found"] for check in map(json.loads, capsys.readouterr().out.splitlines())}
    assert checks["preprocessing"] == "as preprocessor_config.json says"


def test_preprocessing_that_replaces_the_models_own_on_request_is_verified(tmp_path: Path, capsys: Capture) -> None:
    torchvision_ops.make_importable()
    from transformers import ViTImageProcessor

    source, out = transformers_folder(tmp_path / "vit"), tmp_path / "out"
    ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(source)
    out.mkdir()
    labels = f"en:{source / 'labels.en.txt'}"
    assert add.main(out, model_add("--source", source, "--name", "x", "--labels", labels, "--mean=0.4")) == 0
    assert 'overrides = ["mean"]' in (out / "model.toml").read_text()
    capsys.readouterr()
    assert verify.main(out) == 0
    checks = {check["check"]: check["found"] for check in map(json.loads, capsys.readouterr().out.splitlines())}
    assert checks["preprocessing"] == "as preprocessor_config.json says, but for mean, as model.toml says"


def test_an_exception_of_a_library_is_reported(tmp_path: Path, capsys: Capture) -> None:
    folder = openvino_folder(tmp_path / "bright")
    manifest, network = folder / "model.toml", folder / "model.xml"
    before = sha256(network)
    network.write_text("<net/>")
    manifest.write_text(manifest.read_text().replace(before, sha256(network)))
    assert verify.main(folder) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["check"], last["ok"]) == ("loading", False)
    assert last["found"]


def test_a_full_disk_is_reported(source_files: Path, out: Path, capsys: Capture) -> None:
    """Use a device that fails as a disk without free space does."""
    (out / "labels.en.txt").symlink_to("/dev/full")
    assert run_add(source_files, out, "weights.pth", "--labels", "en:{path}/en.txt") == 1
    assert capsys.readouterr().err == (
        f"!! {out.parent}: No space left on device: needed free space, and permission to read and write\n"
    )
