"""A model folder: model.toml read strictly, every file held against its sha256."""

import hashlib
from pathlib import Path

import pytest

from worker.contract.engines import ENGINES
from worker.contract.files import sha256
from worker.contract.loaders import loaders_with
from worker.contract.toml_reader import ModelError
from worker.models.folder import read_folder, verify_files

FILES = {
    "weights.bin": b"weights",
    "labels.en.txt": b"cat\ndog\n",
    "labels.zh.txt": "猫\n狗\n".encode(),
    "golden/a.png": b"a",
}
TOML = """name = "small"
version = "1"
description = "two animals"
loader = "torchvision"
architecture = "resnet18"
weights = "weights.bin"
[files]
{files}
[input]
size = [24, 32]
resize = 40
interpolation = "bicubic"
mean = [0.5, 0.5, 0]
std = [1, 0.2, 0.3]
[output]
activation = "softmax"
[output.labels]
en = "labels.en.txt"
zh = "labels.zh.txt"
[[golden]]
image = "golden/a.png"
index = 1
label = "dog"
score = 0.75
[engine]
name = "torch"
precision = "f32"
batch_sizes = [1, 4]
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    listed = "\n".join(f'"{name}" = "{hashlib.sha256(data).hexdigest()}"' for name, data in FILES.items())
    (tmp_path / "model.toml").write_text(TOML.format(files=listed))
    return tmp_path


@pytest.mark.parametrize(
    ("own", "measured", "exact"),
    [
        ("", "", False),
        ("", "scaled", False),
        ("", "exact", True),
        ("scaled", "exact", False),
        ("exact", "scaled", True),
    ],
)
def test_what_input_says_of_decoding_comes_before_what_was_measured(
    small: Path, own: str, measured: str, exact: bool
) -> None:
    for table, decode in (("[input]", own), ("[engine]", measured)):
        edit(small, table, f'{table}\ndecode = "{decode}"' if decode else table)
    assert read_folder(small).input.exact is exact
    assert read_folder(small).input.whole.exact


def edit(folder: Path, old: str, new: str) -> None:
    text = (folder / "model.toml").read_text()
    assert text.count(old) == 1
    (folder / "model.toml").write_text(text.replace(old, new))


def faults(folder: Path) -> list[str]:
    with pytest.raises(ModelError) as caught:
        read_folder(folder)
    return str(caught.value).replace(str(folder), "F").splitlines()


def test_every_key_of_model_toml_is_read(small: Path) -> None:
    found = read_folder(small)
    assert (found.name, found.version, found.loader, found.architecture) == ("small", "1", "torchvision", "resnet18")
    assert found.weights == small / "weights.bin"
    assert (found.input.geometry.size, found.input.geometry.resize) == ((24, 32), 40)
    assert (found.input.mean, found.input.std) == ((0.5, 0.5, 0.0), (1.0, 0.2, 0.3))
    assert found.output.labels.names == {"zh": ("猫", "狗"), "en": ("cat", "dog")}
    (golden,) = found.golden
    assert (golden.image, golden.index, golden.label, golden.score) == (small / "golden/a.png", 1, "dog", 0.75)
    assert (found.engine.name, found.engine.precision, found.engine.batch_sizes) == ("torch", "f32", (1, 4))
    verify_files(found)


@pytest.mark.parametrize(
    ("line", "description"),
    [
        ("", {}),
        ('description = "Cats and dogs"', {"en": "Cats and dogs"}),
        ('description = { en = "Cats and dogs", zh = "猫和狗" }', {"en": "Cats and dogs", "zh": "猫和狗"}),
    ],
)
def test_a_description_is_english_or_one_per_language(small: Path, line: str, description: dict[str, str]) -> None:
    edit(small, 'description = "two animals"', f'licence = "CC0-1.0"\n{line}')
    found = read_folder(small)
    assert (found.description, found.licence) == (description, "CC0-1.0")


def test_code_is_trusted_only_if_model_toml_says_so(small: Path) -> None:
    assert not read_folder(small).trust_code
    edit(small, 'version = "1"', 'version = "1"\ntrust_code = true')
    assert read_folder(small).trust_code


def test_without_resize_the_whole_image_is_stretched(small: Path) -> None:
    edit(small, "resize = 40\n", "")
    assert read_folder(small).input.geometry.resize is None


def test_a_missing_folder_a_missing_model_toml_and_invalid_toml_differ(small: Path) -> None:
    missing = small / "elsewhere"
    assert faults(missing) == ["F: no such model folder; check the path and that the models volume is mounted"]
    (small / "model.toml").write_text("\nname = a")
    assert faults(small) == ["F/model.toml: not valid TOML: Invalid value (at line 2, column 8): correct it there"]
    (small / "model.toml").write_bytes(b"\xff")
    assert faults(small) == ["F/model.toml: byte 0 is not UTF-8: save the file as UTF-8"]
    (small / "model.toml").unlink()
    assert faults(small) == ["F/model.toml: not found; a model folder needs a model.toml"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('version = "1"\n', "", "version: needs a string, found nothing"),
        ('version = "1"', "version = 1", "version: needs a string, found 1"),
        (
            '"torchvision"',
            '"keras"',
            f"loader: needs one of {', '.join(loaders_with(converted_to=''))}, found 'keras'",
        ),
        (
            'loader = "torchvision"\narchitecture = "resnet18"',
            'loader = "timm"',
            "architecture: needs a string, found nothing",
        ),
        (
            'version = "1"',
            'version = "1"\ntrust_code = "yes"',
            "trust_code: needs true or false, found 'yes'",
        ),
        ('architecture = "resnet18"\n', "", "architecture: needs a string, found nothing"),
        (
            '"two animals"',
            "3",
            "description: needs a string, or a table [description] with one for each language, found 3",
        ),
        (
            '"two animals"',
            '{ en_GB = "Cats" }',
            "description/en_GB: is not a language code of 2 to 8 letters or digits, such as en, ja or zh-Hant",
        ),
        (
            '"two animals"',
            f'"{"c" * 501}"',
            "description/en: has 501 characters, at most 500 are allowed; shorten it",
        ),
        (
            'weights = "weights.bin"',
            'weights = "w.pth"',
            "weights: 'w.pth' is not listed under [files]; list it with its sha256",
        ),
        ("[24, 32]", "[0, 32]", "input/size: must be [height, width] of at least 1 pixel, found [0, 32]"),
        ("[24, 32]", "[24]", "input/size: needs a list of 2 whole numbers, found [24]"),
        ("resize = 40", "resize = 31", "input/resize: must be at least the larger side of size [24, 32], found 31"),
        (
            '"bicubic"',
            '"cubic"',
            "input/interpolation: needs one of nearest, bilinear, bicubic, lanczos, box, found 'cubic'",
        ),
        ("[1, 0.2, 0.3]", "[1, 0, 0.3]", "input/std: must be above 0, found [1.0, 0.0, 0.3]"),
        ('"softmax"', '"relu"', "output/activation: needs one of softmax, sigmoid, none, found 'relu'"),
        (
            'en = "labels.en.txt"\n',
            'EN = "labels.en.txt"\n',
            "output/labels/EN: must be written en",
        ),
        ("index = 1", "index = 2", "golden/0/label: 'dog' is not the label in line 2 ([])"),
        ("index = 1", "index = 0", "golden/0/label: 'dog' is not the label in line 0 (['猫', 'cat'])"),
        ("index = 1", "index = -1", "golden/0/label: 'dog' is not the label in line -1 ([])"),
        ('name = "torch"', 'name = "onnx"', f"engine/name: needs one of {', '.join(ENGINES)}, found 'onnx'"),
        ('"f32"', '"fp8"', "engine/precision: needs one of f32, bf16, fp16, int8, found 'fp8'"),
        ("[1, 4]", "[4]", "engine/batch_sizes: must contain 1 and no smaller number, found [4]"),
        ("[1, 4]", "[1, 0]", "engine/batch_sizes: must contain 1 and no smaller number, found [1, 0]"),
        (
            "[engine]",
            "[engine]\nthreads = 3",
            "engine/threads: is not a known key; remove it or correct its spelling",
        ),
    ],
)
def test_a_fault_names_the_key_and_the_requirement(small: Path, old: str, new: str, fault: str) -> None:
    edit(small, old, new)
    assert f"F/model.toml: {fault}" in faults(small)


def test_an_empty_model_toml_is_refused_with_all_missing_keys(small: Path) -> None:
    (small / "model.toml").write_text("")
    missing = faults(small)
    for key in ("loader", "name", "version", "weights", "files", "input", "output", "golden", "engine"):
        assert any(line.startswith(f"F/model.toml: {key}: ") for line in missing), key


def test_every_language_must_have_as_many_labels(small: Path) -> None:
    (small / "labels.zh.txt").write_text("猫\n狗\n茶\n")
    assert faults(small) == ["F/model.toml: output/labels: must have as many lines in every language, found zh 3, en 2"]


def test_a_blank_label_is_refused_with_its_line(small: Path) -> None:
    (small / "labels.zh.txt").write_text("猫\n \n")
    assert faults(small) == [
        "F/model.toml: output/labels/zh: labels.zh.txt has a blank line 2; one label a line, line number = index"
    ]


def test_labels_that_cannot_be_read_are_refused(small: Path) -> None:
    (small / "labels.zh.txt").unlink()
    found = [line for line in faults(small) if "output/labels/zh" in line]
    assert found == [
        "F/model.toml: output/labels/zh: cannot be read: [Errno 2] No such file or directory: 'F/labels.zh.txt'"
    ]


def error_text(folder: Path) -> str:
    with pytest.raises(ModelError) as caught:
        verify_files(read_folder(folder))
    return str(caught.value).replace(str(folder), "F")


def test_a_changed_byte_is_found(small: Path) -> None:
    (small / "weights.bin").write_bytes(b"Weights")
    assert error_text(small) == (
        f"F/weights.bin: sha256 is {hashlib.sha256(b'Weights').hexdigest()}, "
        f"model.toml says {hashlib.sha256(b'weights').hexdigest()}; copy the file again"
    )


@pytest.mark.parametrize("name", [".DS_Store", "golden/Thumbs.db", "@eaDir/weights.bin@SynoEAStream", "._weights.bin"])
def test_what_file_managers_leave_is_passed_over(small: Path, name: str) -> None:
    (small / name).parent.mkdir(exist_ok=True)
    (small / name).write_bytes(b"x")
    verify_files(read_folder(small))


def test_a_listed_file_is_verified_whatever_its_name(small: Path) -> None:
    edit(small, "[files]\n", f'[files]\n"labels~" = "{hashlib.sha256(b"x").hexdigest()}"\n')
    assert error_text(small) == "F: missing labels~; copy the model folder again"
    (small / "labels~").write_bytes(b"x")
    verify_files(read_folder(small))


def test_a_missing_file_is_found(small: Path) -> None:
    (small / "golden/a.png").unlink()
    assert error_text(small) == "F: missing golden/a.png; copy the model folder again"


def test_an_unlisted_file_is_found(small: Path) -> None:
    (small / "golden/b.png").write_bytes(b"b")
    assert error_text(small) == "F: golden/b.png not listed under [files]; remove or list it"


def test_sha256_is_that_of_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(1 << 20))
    assert sha256(tmp_path / "x") == hashlib.sha256(bytes(1 << 20)).hexdigest()
