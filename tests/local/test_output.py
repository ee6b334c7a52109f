"""What a worker answers beside the label: languages, attributes, and heat maps of every kind of network."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import folders, images
from tests.folders import SIZE
from tests.local.test_http_server import connected, head
from tests.local.worker_harness import JSON, PNG, WorkerProcess, form, running
from tests.wait import until
from worker.contract.limits import Share
from worker.pipeline.explainer import MAX_QUEUED
from worker.pipeline.heat_map import GRID, INFERENCES

RED, GREEN, BLACK, WHITE, DIM = (
    images.encoded(folders.image(colour), "PNG")
    for colour in (folders.RED, (60, 200, 60), (0, 0, 0), (255, 255, 255), (119, 119, 119))
)  # of which the slow folder takes 0.3 s for DIM, and so 15 s for its heat map
ONLY_PNG = {"Accept": "image/png"}


@pytest.fixture(scope="module")
def fruit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    home = tmp_path_factory.mktemp("fruit")
    with running(folders.fruit_folder(home / "fruit"), home / "log", MODEL="fruit") as process:
        yield process


def answer(worker: WorkerProcess, image: bytes, query: str = "") -> dict[str, Any]:
    reply = worker.predict(image, query)
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json
    return found


# Labels and attributes


def test_attributes_stand_beside_predictions_and_take_nothing_from_them(fruit: WorkerProcess) -> None:
    found = answer(fruit, RED)
    assert [row["label_en"] for row in found["predictions"]] == ["apple", "plum", "pear"]
    assert sum(row["score"] for row in found["predictions"]) == pytest.approx(1, abs=1e-5)
    ripeness = found["attributes"]["ripeness"]
    assert (ripeness["label"], ripeness["label_en"], ripeness["index"]) == ("熟 ripe", "ripe", 3)
    assert ripeness["score"] > 0.9
    assert [row["label_en"] for row in found["attributes"]["marks"]] == ["reddish"]
    about = ["model", "version", "worker", "request_id", "confident"]
    assert list(found) == [*about, "predictions", "attributes", "timing_ms"]


def test_another_image_has_other_attributes(fruit: WorkerProcess) -> None:
    found = answer(fruit, GREEN, "?labels=zh&top_k=1")
    assert [row["label"] for row in found["predictions"]] == ["梨"]
    assert found["attributes"]["ripeness"]["label"] == "生"
    assert answer(fruit, WHITE)["attributes"]["marks"][0]["label_en"] == "light"
    assert answer(fruit, BLACK)["attributes"]["marks"] != answer(fruit, WHITE)["attributes"]["marks"]


def test_each_of_several_images_has_its_own_attributes(fruit: WorkerProcess) -> None:
    body, headers = form(("a.png", RED), ("cut.png", RED[:-99]), ("b.png", GREEN))
    results = fruit.ask("POST", "/predict", body, headers).json["results"]
    assert [result.get("attributes", {}).get("ripeness", {}).get("label_en") for result in results] == [
        "ripe", None, "unripe"
    ]  # fmt: skip


def test_labels_come_in_every_language_of_the_model(fruit: WorkerProcess) -> None:
    (row,) = answer(fruit, RED, "?labels=ja&top_k=1")["predictions"]
    assert (row["label"], row["label_ja"], row["label_zh"]) == ("りんご", "りんご", "苹果")
    refusal = fruit.predict(RED, "?labels=de")
    assert (refusal.status, refusal.error["code"]) == (400, "bad_parameter")


def test_the_other_routes_tell_of_the_classes_that_compete(fruit: WorkerProcess) -> None:
    own = answer(fruit, RED)
    rows = fruit.ask("POST", "/models/fruit", RED, PNG).json
    assert rows == [{"label": row["label"], "score": row["score"]} for row in own["predictions"]]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(RED).decode()]}
    every, best = (
        fruit.ask("POST", "/v2/models/fruit/infer", json.dumps(request).encode(), JSON).json["outputs"][0]
        for request in (
            {"inputs": [tensor]},
            {"inputs": [tensor], "outputs": [{"name": "scores", "parameters": {"classification": 9}}]},
        )
    )
    assert every["shape"] == [1, 7]
    assert sum(every["data"][:3]) == pytest.approx(1, abs=1e-5)
    assert sum(every["data"][3:5]) == pytest.approx(1, abs=1e-5)
    assert [text.split(":")[1] for text in best["data"]] == ["0", "2", "1"]


def test_a_model_has_defaults_of_its_own_and_maps_in_the_shortest_queue(tmp_path: Path) -> None:
    folder = folders.fruit_folder(tmp_path / "fruit")
    manifest = folder / "model.toml"
    text = manifest.read_text()
    manifest.write_text(text.replace("[output]\n", "[output]\ntop_k = 2\nthreshold = 0.2\n"))
    with running(folder, tmp_path / "log", MODEL="fruit", QUEUE=1, MAX_IMAGES=1) as process:
        assert [row["label_en"] for row in answer(process, RED)["predictions"]] == ["apple"]
        assert len(answer(process, RED, "?threshold=0")["predictions"]) == 2
        assert len(answer(process, RED, "?threshold=0&top_k=3")["predictions"]) == 3
        rows = process.ask("POST", "/models/fruit", RED, PNG).json
        assert len(rows) == 1
        assert len(heat_map(process, RED)) > 0


# Heat maps


def glow(png: bytes) -> np.ndarray:
    """How coloured each pixel of a heat map is: int [SIZE, SIZE]."""
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.size) == ("PNG", (SIZE, SIZE))
    pixels = np.asarray(image.convert("RGB")).astype(int)
    return pixels.max(axis=-1) - pixels.min(axis=-1)


def hottest(png: bytes) -> tuple[int, int]:
    row, column = np.unravel_index(glow(png).argmax(), (SIZE, SIZE))
    return int(row), int(column)


def heat_map(worker: WorkerProcess, image: bytes, query: str = "") -> bytes:
    reply = worker.ask("POST", f"/predict?heat_map=true{query}", image, PNG | ONLY_PNG)
    assert (reply.status, reply.header("Content-Type")) == (200, "image/png"), reply.body
    return reply.body


def with_red_at(row: int, column: int) -> bytes:
    """An image of 36 pixels a side, of which the folders' geometry cuts off 2; red enough to be an apple."""
    pixels = np.full((36, 36, 3), (120, 90, 80), np.uint8)
    pixels[2 + row : 10 + row, 2 + column : 10 + column] = (250, 40, 40)
    return images.encoded(Image.fromarray(pixels), "PNG")


@pytest.mark.parametrize(("row", "column"), [(0, 0), (4, 20), (22, 8), (24, 24)])
def test_the_hottest_point_lies_where_the_red_is_that_the_answer_is_for(
    fruit: WorkerProcess, row: int, column: int
) -> None:
    found = hottest(heat_map(fruit, with_red_at(row, column)))
    assert row <= found[0] < row + 8
    assert column <= found[1] < column + 8


def test_the_map_comes_in_the_answer_and_alone_to_who_would_rather_have_an_image(fruit: WorkerProcess) -> None:
    image = with_red_at(4, 20)
    found = answer(fruit, image, "?heat_map=true")
    begin, _, data = found["heat_map"].partition(",")
    assert begin == "data:image/png;base64"
    assert base64.b64decode(data) == heat_map(fruit, image)
    plain = answer(fruit, image)
    assert (found["predictions"], found["attributes"]) == (plain["predictions"], plain["attributes"])
    assert "heat_map" not in plain
    cells = np.array(found["heat_map_cells"])
    assert (cells.shape, cells.min() >= 0, cells.max()) == ((GRID, GRID), True, 1)
    assert "heat_map" not in answer(fruit, image, "?heat_map=false")
    assert fruit.predict(image, headers=ONLY_PNG).header("Content-Type") == "application/json"


def test_the_map_of_another_class_is_another_map(fruit: WorkerProcess) -> None:
    image = with_red_at(4, 20)
    best = heat_map(fruit, image)
    assert heat_map(fruit, image, "&class=0") == best
    assert not glow(heat_map(fruit, image, "&class=1"))[4:12, 20:28].any(), "red speaks against green"
    assert heat_map(fruit, image, "&class=3") != best, "a class of a group has a map, too"


def test_what_no_map_can_be_drawn_for_is_refused(fruit: WorkerProcess) -> None:
    body, headers = form(("a.png", RED), ("b.png", RED))
    many = fruit.ask("POST", "/predict?heat_map=true", body, headers)
    assert (many.status, many.error["code"]) == (400, "bad_parameter")
    beyond = fruit.predict(RED, "?heat_map=true&class=7")
    assert (beyond.status, beyond.error["code"]) == (400, "bad_parameter")
    broken = fruit.predict(RED[:-99], "?heat_map=true", ONLY_PNG)
    assert (broken.status, broken.error["code"]) == (422, "undecodable")


def test_of_an_image_in_tiles_there_is_no_map_and_of_a_single_tile_there_is(tmp_path: Path) -> None:
    folder = folders.fruit_folder(tmp_path / "fruit")
    manifest = folder / "model.toml"
    tiles = f"[input.tiles]\nsize = {SIZE}\nstride = {SIZE}\nmerge = 'mean'\n[output]\n"
    manifest.write_text(manifest.read_text().replace("[output]\n", tiles))
    with running(folder, tmp_path / "log", MODEL="fruit") as process:
        before = process.metric("wanwu_batch_size_images_sum")
        reply = process.predict(RED, "?heat_map=true")
        assert (reply.status, reply.error["code"]) == (400, "bad_parameter")
        assert process.metric("wanwu_batch_size_images_sum") == before, "it is refused before anything is run"
        assert heat_map(process, images.encoded(folders.image(folders.RED, (SIZE, SIZE)), "PNG"))


# What a heat map costs


def test_a_map_asks_about_every_place_and_then_holds_none(fruit: WorkerProcess) -> None:
    before = fruit.metric("wanwu_batch_size_images_sum")
    heat_map(fruit, RED)
    assert fruit.metric("wanwu_batch_size_images_sum") == before + 1 + INFERENCES
    assert fruit.metric("wanwu_in_flight_images") == 0


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.slow_folder(tmp_path_factory.mktemp("models") / "slow")


def test_a_map_that_outlives_its_deadline_is_504_and_leaves_nothing_behind(slow: Path, tmp_path: Path) -> None:
    with running(slow, tmp_path / "log", DEADLINE_S=6) as process:
        reply = process.predict(DIM, "?heat_map=true", ONLY_PNG)
        assert (reply.status, reply.error["code"]) == (504, "deadline")
        state = process.state()
        assert state
        assert state["in_flight"] == 0
        until("what was cancelled is out of the queue", lambda: (process.state() or {}).get("queued") == 0)
        assert process.metric("wanwu_batch_size_images_sum") < INFERENCES
        assert process.predict(RED).status == 200


def test_maps_hold_as_many_places_as_they_have_images_in_the_queue_and_their_share_at_most(
    slow: Path, tmp_path: Path
) -> None:
    queue, log = MAX_QUEUED * 4, tmp_path / "log"
    assert Share.HEAT_MAPS.places(queue) == MAX_QUEUED
    with running(slow, log, QUEUE=queue, MAX_IMAGES=1) as process, connected(process) as connection:
        connection.sendall(head(DIM, path="/predict?heat_map=true") + DIM)
        until("the map is being drawn", lambda: process.metric("wanwu_in_flight_images") == MAX_QUEUED)
        refused = process.predict(RED, "?heat_map=true")
        assert (refused.status, refused.error["code"]) == (429, "queue_full")
        assert process.predict(RED).status == 200, "the other places are for images"
