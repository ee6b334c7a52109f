"""What model-fetch refuses before it sets anything up, what it calls a model, and what becomes of what was fetched."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.models import fetch as model_fetch
from scripts.models.options import FetchModelOptions
from scripts.models.tools.fetch import REPORT
from scripts.models.tools.sources import MIRRORS

NEEDED = "needed hf:ORGANISATION/NAME, ms:ORGANISATION/NAME, torchvision:NAME, timm:NAME or http(s)://HOST/FILE"


def refused(options: FetchModelOptions) -> list[str]:
    with pytest.raises(CommandError) as refusal:
        model_fetch.fetch(options)
    return list(refusal.value.lines)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hf:google/ViT-Base-Patch16-224", "vit-base-patch16-224"),
        ("ms:iic/cv_resnest101_general_recognition", "cv_resnest101_general_recognition"),
        ("torchvision:resnet18", "resnet18"),
        ("timm:resnet50.a1_in1k", "resnet50.a1_in1k"),
        ("https://host/models/My%20Net-v2.onnx?download=1", "my-net-v2"),
        ("hf:org/_hidden", "hidden"),
        ("https://host/" + "n" * 80 + ".pth", "n" * 63),
    ],
)
def test_a_model_is_called_after_the_last_part_of_its_source(source: str, name: str) -> None:
    assert model_fetch.default_name(source) == name


def test_every_fault_is_named_at_once_and_nothing_is_made(tmp_path: Path) -> None:
    options = FetchModelOptions(
        models=tmp_path / "models",
        name="Big Model",
        source="resnet18",
        sha256="ab",
        labels="en:/no/en.txt",
        golden="/no.jpg",
    )
    assert refused(options) == [
        'NAME: found \'Big Model\', needed up to 63 lower-case letters, digits, ".", "_" or "-", '
        "the first a letter or digit",
        f"SOURCE: found resnet18, {NEEDED}",
        "SHA256: only for an address: what else is fetched comes with its hashes",
        "LABELS: en: /no/en.txt: no such file",
        "GOLDEN: /no.jpg: no such file",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "revision", "sha256", "said"),
    [
        ("", "", "", [f"SOURCE: found nothing, {NEEDED}"]),
        ("hf:", "", "", [f"SOURCE: found hf:, {NEEDED}"]),
        ("hf:a/b/c", "", "", [f"SOURCE: found hf:a/b/c, {NEEDED}"]),
        ("ftp://host/file", "", "", [f"SOURCE: found ftp://host/file, {NEEDED}"]),
        ("hf:../../etc", "", "", [f"SOURCE: found hf:../../etc, {NEEDED}"]),
        ("https://host/a.pth", "main", "", ["REVISION: an address has none: leave it out"]),
        ("https://host/a.pth", "", "abc", ["SHA256: found abc, needed 64 hexadecimal digits"]),
    ],
)
def test_a_source_that_is_none_is_refused(
    tmp_path: Path, source: str, revision: str, sha256: str, said: list[str]
) -> None:
    assert refused(FetchModelOptions(models=tmp_path, source=source, revision=revision, sha256=sha256)) == said


def test_a_name_that_is_taken_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "resnet18").mkdir()
    assert refused(FetchModelOptions(models=tmp_path, source="torchvision:resnet18")) == [
        f"{tmp_path}/resnet18: is there already: give another NAME=, or FORCE=1 to replace it"
    ]


def test_what_was_fetched_is_kept_until_the_model_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def attempt(fails: bool) -> Path:
        with model_fetch._kept(tmp_path, "hf:org/name", "") as folder:
            (folder / "half").write_bytes(bytes(2_500_000))
            if fails:
                raise CommandError("no")
        return folder

    with pytest.raises(CommandError):
        attempt(fails=True)
    (kept,) = (tmp_path / ".fetch").iterdir()
    assert (kept / "half").is_file()
    assert capsys.readouterr().err == (
        f"!! kept: 2.5 MB in {kept}: the same command goes on from there; or `rm -r {kept}`\n"
    )
    assert attempt(fails=False) == kept
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_kept_where_nothing_was_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError), model_fetch._kept(tmp_path, "hf:org/name", ""):
        raise CommandError("no")
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_two_attempts_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    with model_fetch._kept(tmp_path, "hf:org/name", "") as folder:
        with pytest.raises(CommandError) as refusal, model_fetch._kept(tmp_path, "hf:org/name", ""):
            pass
        assert refusal.value.lines == (f"{folder}: another model-fetch fetches this now: wait for it",)
        with model_fetch._kept(tmp_path, "hf:org/name", "v2") as other:
            assert other != folder
        assert folder.is_dir()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(CommandError) as refusal, model_fetch._kept(tmp_path / "models", "hf:org/name", ""):
        pass
    assert refusal.value.lines == (f"{tmp_path}/models: File exists: needed a folder to write in, MODELS=",)


def test_the_tool_and_the_command_agree_on_names() -> None:
    assert model_fetch.REPORT == REPORT
    assert set(model_fetch.KINDS) == MIRRORS.keys()
