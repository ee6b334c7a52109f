"""Option faults that model-fetch reports before it starts, its default names, and its folder of downloads."""

from pathlib import Path

import pytest

from scripts.base.errors import CommandError
from scripts.models import fetch as model_fetch
from scripts.models.options import FetchModelOptions
from scripts.models.tools.fetch import REPORT
from scripts.models.tools.sources import MIRRORS

NEEDED = "needed hf:ORGANISATION/NAME, ms:ORGANISATION/NAME, torchvision:NAME, timm:NAME or http(s)://HOST/FILE"


def error_lines(options: FetchModelOptions) -> list[str]:
    with pytest.raises(CommandError) as caught:
        model_fetch.fetch(options, options.models / "run.lock")
    return list(caught.value.lines)


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


def test_all_faults_are_reported_at_once_and_nothing_is_created(tmp_path: Path) -> None:
    options = FetchModelOptions(
        models=tmp_path / "models",
        name="Big Model",
        source="resnet18",
        sha256="ab",
        labels="en:/no/en.txt",
        golden="/no.jpg",
    )
    assert error_lines(options) == [
        'NAME: found \'Big Model\', needed up to 63 lower-case letters, digits, ".", "_" or "-", '
        "the first a letter or digit",
        f"SOURCE: found resnet18, {NEEDED}",
        "SHA256: only an address needs it, since other sources publish their hashes: leave it out",
        "LABELS: en: /no/en.txt: no such file",
        "GOLDEN: /no.jpg: no such file",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "revision", "sha256", "lines"),
    [
        ("", "", "", [f"SOURCE: found nothing, {NEEDED}"]),
        ("hf:", "", "", [f"SOURCE: found hf:, {NEEDED}"]),
        ("hf:a/b/c", "", "", [f"SOURCE: found hf:a/b/c, {NEEDED}"]),
        ("ftp://host/file", "", "", [f"SOURCE: found ftp://host/file, {NEEDED}"]),
        ("hf:../../etc", "", "", [f"SOURCE: found hf:../../etc, {NEEDED}"]),
        ("https://host/a.pth", "main", "", ["REVISION: found 'main', but an address has no revisions: leave it out"]),
        ("https://host/a.pth", "", "abc", ["SHA256: found abc, needed 64 hexadecimal digits"]),
    ],
)
def test_an_invalid_source_is_refused(
    tmp_path: Path, source: str, revision: str, sha256: str, lines: list[str]
) -> None:
    assert error_lines(FetchModelOptions(models=tmp_path, source=source, revision=revision, sha256=sha256)) == lines


def test_a_used_name_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "resnet18").mkdir()
    assert error_lines(FetchModelOptions(models=tmp_path, source="torchvision:resnet18")) == [
        f"{tmp_path}/resnet18: exists already: choose another NAME=, or set FORCE=1 to replace it"
    ]


def test_downloads_are_kept_until_the_model_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def attempt(fails: bool) -> Path:
        with model_fetch._download_folder(tmp_path, "hf:org/name", "") as folder:
            (folder / "half").write_bytes(bytes(2_500_000))
            if fails:
                raise CommandError("no")
        return folder

    with pytest.raises(CommandError):
        attempt(fails=True)
    (kept,) = (tmp_path / ".fetch").iterdir()
    assert (kept / "half").is_file()
    assert capsys.readouterr().err == (
        f"!! kept: 2.5 MB in {kept}: run the same command again to resume, or `rm -r {kept}` to discard it\n"
    )
    assert attempt(fails=False) == kept
    assert list(tmp_path.iterdir()) == []


def test_an_empty_download_folder_is_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError), model_fetch._download_folder(tmp_path, "hf:org/name", ""):
        raise CommandError("no")
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_concurrent_attempts_do_not_share_a_folder(tmp_path: Path) -> None:
    with model_fetch._download_folder(tmp_path, "hf:org/name", "") as folder:
        with pytest.raises(CommandError) as caught, model_fetch._download_folder(tmp_path, "hf:org/name", ""):
            pass
        assert caught.value.lines == (f"{folder}: another model-fetch is fetching this: wait for it to end",)
        with model_fetch._download_folder(tmp_path, "hf:org/name", "v2") as other:
            assert other != folder
        assert folder.is_dir()


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(CommandError) as caught, model_fetch._download_folder(tmp_path / "models", "hf:org/name", ""):
        pass
    assert caught.value.lines == (f"{tmp_path}/models: File exists: needed a writable folder: set MODELS=",)


def test_the_tool_and_the_command_agree_on_names() -> None:
    assert model_fetch.REPORT == REPORT
    assert set(model_fetch.KINDS) == MIRRORS.keys()
