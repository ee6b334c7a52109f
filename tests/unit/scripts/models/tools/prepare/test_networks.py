"""The files of prepared networks."""

from pathlib import Path

from scripts.models.tools.prepare import networks


def test_files_of_unused_networks_are_deleted(tmp_path: Path) -> None:
    for name in ("f32.xml", "f32.bin", "f32.onnx", "f32.onnx.data", "int8.xml", "int8.bin"):
        (tmp_path / "prepared").mkdir(exist_ok=True)
        (tmp_path / "prepared" / name).touch()
    networks.remove_unused(tmp_path, ["prepared/f32.onnx", "prepared/int8.xml"])
    assert [path.name for path in networks.files(tmp_path)] == ["f32.onnx", "f32.onnx.data", "int8.bin", "int8.xml"]
    networks.remove_unused(tmp_path, [])
    assert not (tmp_path / "prepared").exists()
    networks.remove_unused(tmp_path, [])
