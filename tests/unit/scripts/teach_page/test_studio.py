"""What the Teach view's service refuses before any command starts, and that nothing of an upload stays."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.models.tools.teach import PAGE
from scripts.teach_page import studio as studio_module
from scripts.teach_page.errors import Code, Refused
from scripts.teach_page.studio import Place, Studio


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    cluster = tmp_path / "cluster.toml"
    cluster.write_text('port = 8000\n[[models]]\nname = "photos"\nfolder = "worker/photos"\n')
    (tmp_path / "models/.upload-left").mkdir(parents=True)  # by a service that was killed
    (tmp_path / "models/parts").mkdir()
    (tmp_path / "models/parts" / PAGE).write_text("report")
    return Studio(Place(cluster, tmp_path / "run", tmp_path / "models"))


def code(act: Callable[[], object]) -> Code:
    with pytest.raises(Refused) as refused:
        act()
    assert ", needed " in refused.value.message
    return refused.value.code


def begin(studio: Studio, name: str, base: str = "photos", add: bool = False, replace: bool = False) -> None:
    studio.begin(name, base, add, replace)


def test_uploads_come_one_at_a_time_and_leave_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    models = studio.place.models
    assert [path.name for path in models.iterdir()] == ["parts"]
    assert code(studio.current_upload) == Code.NO_UPLOAD
    assert code(lambda: begin(studio, "No")) == Code.BAD_NAME
    assert code(lambda: begin(studio, "../x")) == Code.BAD_NAME
    assert code(lambda: begin(studio, "parts")) == Code.NAME_TAKEN
    assert code(lambda: begin(studio, "other", base="none")) == Code.UNKNOWN
    begin(studio, "parts", base="parts", add=True, replace=True)
    studio.current_upload().add("cat", "", "1.jpg", io.BytesIO(b"image"), 5)
    assert studio.state()["upload"] == {"name": "parts", "images": 1, "bytes": 5, "classes": 1}
    assert code(lambda: begin(studio, "other")) == Code.BUSY
    assert code(lambda: studio.use("parts", "")) == Code.BUSY
    studio.expire()
    assert studio.upload
    monkeypatch.setattr(studio_module, "ABANDONED_S", -1)
    studio.expire()
    assert [path.name for path in models.iterdir()] == ["parts"]
    begin(studio, "other")
    studio.close()
    assert [path.name for path in models.iterdir()] == ["parts"]


def test_only_models_that_are_there_are_served_and_reported_on(studio: Studio) -> None:
    state = studio.state()
    assert state["models"] == [
        {"name": "photos", "taught": False, "served": True},
        {"name": "parts", "taught": True, "served": False},
    ]
    assert (state["served"], state["previous"], state["job"]) == (["photos"], None, None)
    assert code(lambda: studio.use("none", "")) == Code.UNKNOWN
    assert code(lambda: studio.use("parts", "none")) == Code.UNKNOWN
    assert studio.report("parts") == b"report"
    for name in ("photos", "none", "../parts", "parts/../parts", ""):
        assert code(lambda name=name: studio.report(name)) == Code.UNKNOWN  # type: ignore[misc]


def test_a_cluster_file_with_faults_is_said(studio: Studio) -> None:
    studio.place.cluster.write_text("port = ")
    with pytest.raises(Refused) as refused:
        studio.state()
    assert refused.value.code == Code.FAILED
