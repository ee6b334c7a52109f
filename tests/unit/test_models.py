from pathlib import Path

import pytest

from scripts.cluster import ROOT, Cluster, load_cluster, parse_cluster
from scripts.models import Served, read_models
from scripts.refusal import Refusal

GOOD = '[engine]\nname = "torch"\n[[golden]]\nimage = "golden/a.jpg"\n[[golden]]\nimage = "golden/b.jpg"\n'


def folder(path: Path, text: str | bytes = GOOD) -> Path:
    (path / "golden").mkdir(parents=True)
    (path / "model.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    (path / "golden/a.jpg").write_bytes(b"1234")
    return path


def clustered(*folders: Path, engine: str = "auto") -> Cluster:
    models = "".join(f'[[models]]\nname = "m{index}"\nfolder = "{path}"\n' for index, path in enumerate(folders))
    return parse_cluster(f'engine = "{engine}"\n{models}', "c.toml")


def refused(*folders: Path) -> list[str]:
    with pytest.raises(Refusal) as refusal:
        read_models(clustered(*folders))
    return list(refusal.value.lines)


def test_a_model_is_read_with_its_engine_first_golden_picture_and_all_its_bytes(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")
    (path / "weights").write_bytes(b"x" * 1000)
    assert read_models(clustered(path)) == {"m0": Served("torch", path / "golden/a.jpg", 1004 + len(GOOD))}


def test_the_clusters_engine_comes_before_the_folders(tmp_path: Path) -> None:
    path = folder(tmp_path / "m")
    assert read_models(clustered(path, engine="openvino"))["m0"].engine == "openvino"


def test_the_committed_cluster_has_its_model() -> None:
    served = read_models(load_cluster(ROOT / "compose/cluster.toml"))
    assert served["demo"].engine == "openvino"
    assert served["demo"].golden.is_file()
    assert served["demo"].bytes < 3_000_000


def test_the_faults_of_all_folders_are_refused_at_once(tmp_path: Path) -> None:
    good, missing = folder(tmp_path / "good"), tmp_path / "missing"
    unknown = folder(tmp_path / "unknown", GOOD.replace("torch", "tensorflow"))
    assert refused(missing, good, unknown) == [
        f"c.toml: models/0/folder: {missing}: no such folder: name one that is there; is the models volume mounted?",
        f"c.toml: models/2/folder: {unknown}/model.toml: cannot be read as a model folder: "
        "ValueError(\"engine/name: found 'tensorflow', needed one of torch, openvino\")",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[engine", "TOMLDecodeError("),
        (b"\xff", "UnicodeDecodeError("),
        ("", "KeyError('engine')"),
        ('engine = "torch"\n', "TypeError("),
        ('[engine]\nname = "torch"\n', "KeyError('golden')"),
        ('golden = []\n[engine]\nname = "torch"\n', "IndexError("),
        (GOOD.replace('"golden/a.jpg"', "7"), "TypeError("),
        (
            GOOD.replace('"torch"', '["torch"]'),
            "ValueError(\"engine/name: found ['torch'], needed one of torch, openvino\")",
        ),
    ],
)
def test_a_model_toml_that_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    path = folder(tmp_path / "m", text)
    (line,) = refused(path)
    assert line.startswith(f"c.toml: models/0/folder: {path}/model.toml: cannot be read as a model folder: {reason}")


def test_an_empty_folder_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    assert refused(tmp_path / "m") == [
        f"c.toml: models/0/folder: {tmp_path}/m: found an empty folder, needed a model folder: "
        "copy one there, or mount the models volume"
    ]


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("")
    assert refused(tmp_path / "m") == [
        f"c.toml: models/0/folder: {tmp_path}/m/model.toml: Not a directory: needed a model folder with a model.toml"
    ]
