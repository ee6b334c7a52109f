"""The images that a model is prepared on, as its own decoding shows them to the network."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scripts.models.tools.answers import decoder
from scripts.models.tools.prepare import calibration
from tests.folders import SIZE, image, openvino_folder
from worker.contract.toml_reader import ModelError
from worker.decode import Pixels
from worker.models.folder import ModelFolder, read_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return read_folder(openvino_folder(tmp_path_factory.mktemp("models") / "bright"))


@pytest.mark.parametrize(("channels", "golden"), [(1, 1), (3, 1), (7, 0)], ids=str)
def test_generated_images_fit_networks_of_any_number_of_channels(
    folder: ModelFolder, channels: int, golden: int
) -> None:
    values = (0.5,) * channels
    model_input = replace(folder.input, pixels=Pixels(channels), mean=values, std=values)
    found = calibration.generate(replace(folder, input=model_input), 20)
    assert found.calibration.shape == (12 + golden, SIZE, SIZE, channels)
    assert found.check.shape == (8, SIZE, SIZE, channels)
    assert found.check.dtype == np.uint8
    assert all(found.check[..., channel].std() > 30 for channel in range(channels))


def test_all_own_images_are_used_in_exactly_one_set(folder: ModelFolder, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "notes.txt").write_text("not an image")
    for number in range(60):
        parent = tmp_path / "below" if number % 2 else tmp_path
        image((number * 4, 100, 100)).save(parent / f"{number:02}.png")
    found = calibration.load(folder, tmp_path)
    assert (len(found.calibration), len(found.check)) == (36 + 1, 24)
    assert found.calibration[-1].tobytes() == decoder(folder)(folder.golden[0].image.read_bytes()).tobytes()
    all_images = (*found.calibration[:-1], *found.check)
    reds = [round(decoded[..., 0].mean() / 4) for decoded in all_images]
    assert sorted(reds) == pytest.approx(list(range(60)), abs=2)
    assert len({decoded.tobytes() for decoded in all_images}) == 60


def test_a_sample_of_many_own_images_is_evenly_spread(folder: ModelFolder, tmp_path: Path) -> None:
    for number in range(120):
        image((number * 2, 100, 100)).save(tmp_path / f"{number:03}.png")
    found = calibration.load(folder, tmp_path, 50)
    reds = np.array([decoded[..., 0].mean() / 2 for decoded in (*found.calibration[:-1], *found.check)])
    assert len(reds) == 50
    assert np.histogram(reds, 5, (0, 120))[0].min() >= 8


def test_too_few_own_images_are_refused(folder: ModelFolder, tmp_path: Path) -> None:
    image((9, 9, 9)).save(tmp_path / "one.png")
    with pytest.raises(ModelError) as caught:
        calibration.load(folder, tmp_path)
    assert str(caught.value) == (f"{tmp_path}: found 1 images that can be decoded, needed 50 or more, preferably 500")
