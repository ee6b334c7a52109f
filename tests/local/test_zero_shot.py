"""Zero-shot models through a whole worker, and through the gateway with the Hugging Face client."""

import base64
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import openvino as ov
import pytest
import torch
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image

from tests import folders, images, zero_shot_folders
from tests.local.gateway_harness import Gateway, RealWorker
from tests.local.worker_harness import JSON, WorkerProcess, running
from tests.wait import TIMEOUT_S, until
from worker.contract.files import sha256
from worker.contract.limits import MAX_CANDIDATE_LABELS
from worker.models.folder import ModelFolder, read_folder
from worker.models.labels import activate
from worker.models.loaders import load_network

CLOSE = 1e-4  # of a score in f32
PAUSE_S = 0.05  # between two probes, which thus take little of the processor from what they watch
THINGS = zero_shot_folders.THINGS
CANDIDATES = ["a red square", "a dog", "茶"]
TEMPLATE = "this is {}, as it seems."


@dataclass(frozen=True)
class Model:
    """A model folder, what it was made from, and an image of just its size, which no resizing changes."""

    source: Path
    folder: ModelFolder

    @property
    def image(self) -> Image.Image:
        height, width = self.folder.input.geometry.size
        return folders.image(folders.RED, (width, height))

    @property
    def png(self) -> bytes:
        return images.encoded(self.image, "PNG")

    def scores(self, texts: Sequence[str]) -> list[float]:
        """What the library's own few lines say of the image."""
        pixels = zero_shot_folders.library_pixels(self.source, self.image)
        logits = zero_shot_folders.library_logits(self.source, pixels, list(texts)).numpy()[0]
        return [float(score) for score in activate(logits, self.folder.output.activation)]


def made(home: Path, family: str) -> Model:
    """A model of one template, so that the library's own lines say all there is to say."""
    (home / "templates.txt").write_text("a photo of a {}.\n")
    source = zero_shot_folders.FAMILIES[family](home / "source")
    folders.image(folders.RED, (64, 64)).save(home / "red.png")
    given = ("--templates", home / "templates.txt", "--golden", home / "red.png")
    return Model(source, read_folder(zero_shot_folders.add_model(source, home / family, *given)))


def in_json(image: bytes, **parameters: object) -> bytes:
    return json.dumps({"inputs": base64.b64encode(image).decode(), "parameters": parameters}).encode()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return the model, which no test changes: one that changes its folder copies it first."""
    return made(tmp_path_factory.mktemp("clip"), "clip")


@pytest.fixture(scope="module")
def prepared_clip(clip: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of CLIP whose image tower OpenVINO runs; a test that changes it copies it first."""
    return prepared(clip, tmp_path_factory.mktemp("prepared") / "clip")


def prepared(model: Model, folder: Path) -> Path:
    """A copy of the model's folder whose image tower OpenVINO runs."""
    shutil.copytree(model.folder.path, folder)
    height, width = model.folder.input.geometry.size
    network = ov.convert_model(load_network(model.folder), example_input=torch.zeros(1, 3, height, width))
    network.reshape([-1, 3, height, width])
    (folder / "prepared").mkdir()
    ov.save_model(network, folder / "prepared/f32.xml", compress_to_fp16=False)
    listed = [f'"{path.relative_to(folder)}" = "{sha256(path)}"' for path in sorted((folder / "prepared").iterdir())]
    manifest = folder / "model.toml"
    text = manifest.read_text().replace('name = "torch"', 'name = "openvino"')
    text = text.replace("[files]\n", "\n".join(["[files]", *listed, ""]))
    manifest.write_text(f'{text}[engine.prepared]\nopenvino-f32 = "prepared/f32.xml"\n')
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the module's worker keeps texts."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def worker(clip: Model, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    log = tmp_path_factory.mktemp("worker") / "log"
    with running(clip.folder.path, log, MODEL="clip", WORKER="clip-0", CACHE=cache) as process:
        yield process


# The scores of all families are compared in tests/unit.
def test_a_worker_gives_the_librarys_scores_for_its_own_labels_and_for_a_requests(
    clip: Model, worker: WorkerProcess
) -> None:
    body = in_json(clip.png, candidate_labels=CANDIDATES, hypothesis_template=TEMPLATE)
    own = worker.predict(clip.png, "?top_k=3").json["predictions"]
    given = worker.ask("POST", "/models/clip", body, JSON).json
    wanted = clip.scores([f"a photo of a {word}." for word in THINGS])
    assert {row["index"]: row["score"] for row in own} == pytest.approx(dict(enumerate(wanted)), abs=CLOSE)
    assert own[0]["label_zh"] == list(THINGS.values())[own[0]["index"]]
    wanted = clip.scores([TEMPLATE.format(label) for label in CANDIDATES])
    assert {row["label"]: row["score"] for row in given} == pytest.approx(
        dict(zip(CANDIDATES, wanted, strict=True)), abs=CLOSE
    )
    assert [row["score"] for row in given] == sorted((row["score"] for row in given), reverse=True)


# The Hugging Face client


@pytest.fixture(scope="module")
def gateway(clip: Model, worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A real gateway before the real worker, and before one of an ordinary classifier."""
    home = tmp_path_factory.mktemp("gateway")
    with ExitStack() as stack:
        bright = folders.openvino_folder(home / "bright")
        other = stack.enter_context(running(bright, home / "log", MODEL="bright", WORKER="bright-0"))
        (home / "gateway").mkdir()
        gateway = stack.enter_context(Gateway(home / "gateway", {}))
        for model, port in (("clip", worker.port), ("bright", other.port)):
            gateway.workers[f"{model}-0"], gateway.pools[model] = RealWorker(f"{model}-0", model, port), [f"{model}-0"]
        gateway.write_members()
        yield gateway.start()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> InferenceClient:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return InferenceClient(timeout=TIMEOUT_S)


def asked(hub: InferenceClient, gateway: Gateway, image: bytes, name: str = "clip", **options: str) -> dict[str, float]:
    url = f"http://127.0.0.1:{gateway.port}/models/{name}"
    rows = hub.zero_shot_image_classification(image, CANDIDATES, model=url, **options)
    return {row.label: row.score for row in rows}


@pytest.mark.parametrize("template", [None, TEMPLATE])
def test_the_hub_client_brings_its_own_labels_through_the_gateway(
    hub: InferenceClient, gateway: Gateway, clip: Model, template: str | None
) -> None:
    options = {"hypothesis_template": template} if template else {}
    wanted = clip.scores([(template or "a photo of a {}.").format(label) for label in CANDIDATES])
    found = asked(hub, gateway, clip.png, **options)
    assert found == pytest.approx(dict(zip(CANDIDATES, wanted, strict=True)), abs=CLOSE)


def test_an_ordinary_classifier_says_that_it_knows_its_own_classes_alone(
    hub: InferenceClient, gateway: Gateway, clip: Model
) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        asked(hub, gateway, clip.png, name="bright")
    assert caught.value.response.status_code == 400
    assert caught.value.response.json()["error"]["code"] == "bad_parameter"


# /predict


def test_predict_takes_labels_in_its_query(worker: WorkerProcess, clip: Model) -> None:
    reply = worker.predict(clip.png, "?candidate_labels=a%20red%20square,a%20dog,%E8%8C%B6&top_k=2")
    wanted = clip.scores([f"a photo of a {label}." for label in CANDIDATES])
    best = sorted(zip(wanted, CANDIDATES, strict=True), reverse=True)[:2]
    rows = reply.json["predictions"]
    assert [row["label"] for row in rows] == [label for _, label in best]
    assert [row["score"] for row in rows] == pytest.approx([score for score, _ in best], abs=CLOSE)
    assert [row["label_en"] for row in rows] == [None, None]


def test_a_request_with_labels_leaves_the_next_as_it_was(worker: WorkerProcess, clip: Model) -> None:
    before = worker.predict(clip.png).json["predictions"]
    worker.predict(clip.png, "?candidate_labels=x,y")
    assert worker.predict(clip.png).json["predictions"] == before


def test_a_heat_map_of_a_requests_label_is_drawn(worker: WorkerProcess, clip: Model) -> None:
    reply = worker.predict(clip.png, "?candidate_labels=x,y&heat_map=true&class=1", {"Accept": "image/png"})
    assert reply.status == 200
    assert reply.body.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "query", ["?candidate_labels=", "?candidate_labels=a,b&labels=zh", "?hypothesis_template=a%20%7B%7D"]
)
def test_wrong_labels_are_refused(worker: WorkerProcess, clip: Model, query: str) -> None:
    reply = worker.predict(clip.png, query)
    assert (reply.status, reply.error["code"]) == (400, "bad_parameter")


# The cache


def classified(process: WorkerProcess, image: bytes) -> Any:
    """Return the predictions for new labels, or nothing while a worker that ran without torch imports it for them."""
    reply = process.predict(image, "?candidate_labels=cat,dog")
    # They are read on after the deadline of a request.
    assert reply.status in (200, 504)
    return reply.status == 200 and reply.json["predictions"]


def test_another_process_needs_torch_for_labels_that_none_has_met_alone_and_answers_probes_while_it_reads_them(
    worker: WorkerProcess, clip: Model, prepared_clip: Path, cache: Path, tmp_path: Path
) -> None:
    texts = cache / "clip-0/texts"
    before = set(texts.glob("*"))
    first = worker.predict(clip.png, "?candidate_labels=met,before").json["predictions"]
    (file,) = set(texts.iterdir()) - before
    written = file.stat().st_mtime_ns
    body = in_json(clip.png, candidate_labels=[f"thing {number}" for number in range(MAX_CANDIDATE_LABELS)])
    states = set[int]()

    def read_new(process: WorkerProcess) -> tuple[Any, Any]:
        few = until("the new labels are read", partial(classified, process, clip.png))
        return few, process.ask("POST", "/predict", body, JSON).json["predictions"]

    with (
        running(prepared_clip, tmp_path / "log", MODEL="clip", WORKER="clip-0", CACHE=cache) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        maps = Path(f"/proc/{process.inner_pid}/maps")
        own = process.predict(clip.png).json["predictions"]
        met = process.predict(clip.png, "?candidate_labels=met,before").json["predictions"]
        assert file.stat().st_mtime_ns == written
        assert "libtorch" not in maps.read_text()
        reading = pool.submit(read_new, process)
        while not wait([reading], PAUSE_S).done:
            states.add(process.ask("GET", "/readyz").status)
        assert "libtorch" in maps.read_text()
    few, many = reading.result()
    assert by_label(met) == pytest.approx(by_label(first), abs=CLOSE)
    assert by_label(few) == pytest.approx(scores(clip, ["cat", "dog"]), abs=CLOSE)
    assert by_index(own) == pytest.approx(dict(enumerate(scores(clip, THINGS).values())), abs=CLOSE)
    assert len(many) == MAX_CANDIDATE_LABELS
    assert states == {200}
    assert len(set(texts.iterdir()) - before) == 3


def by_label(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {row["label"]: row["score"] for row in rows}


def by_index(rows: list[dict[str, Any]]) -> dict[int, float]:
    return {row["index"]: row["score"] for row in rows}


def scores(model: Model, labels: Iterable[str]) -> dict[str, float]:
    """What the library's own few lines say of the labels in the model's template."""
    labels = list(labels)
    return dict(zip(labels, model.scores([f"a photo of a {label}." for label in labels]), strict=True))


def test_a_changed_template_is_read_at_the_start_and_kept(clip: Model, prepared_clip: Path, tmp_path: Path) -> None:
    folder, cache = Path(shutil.copytree(prepared_clip, tmp_path / "clip")), tmp_path / "cache"
    clip.image.save(folder / "golden/red.png")
    wanted = clip.scores([f"a close photo of a {word}." for word in THINGS])
    best = max(range(3), key=wanted.__getitem__)
    changes = {
        r'"golden/red.png" = .*': f'"golden/red.png" = "{sha256(folder / "golden/red.png")}"',
        r"templates = .*": 'templates = ["a close photo of a {}."]', r"index = .*": f"index = {best}",
        r"label = .*": f'label = "{list(THINGS)[best]}"', r"score = .*": f"score = {wanted[best]}",
    }  # fmt: skip
    manifest = folder / "model.toml"
    for line, new in changes.items():
        manifest.write_text(re.sub(f"(?m)^{line}$", new, manifest.read_text()))
    for log in ("first", "second"):
        with running(folder, tmp_path / log, MODEL="clip", WORKER="clip-0", CACHE=cache) as process:
            rows = process.predict(clip.png).json["predictions"]
        assert by_index(rows) == pytest.approx(dict(enumerate(wanted)), abs=CLOSE)
        assert len(list((cache / "clip-0/texts").iterdir())) == 1


def test_a_prepared_network_of_open_clip_answers_without_torch(tmp_path: Path) -> None:
    model = made(tmp_path, "open_clip_siglip")
    with running(prepared(model, tmp_path / "prepared"), tmp_path / "log", MODEL="m") as process:
        own = process.predict(model.png).json["predictions"]
        assert "libtorch" not in Path(f"/proc/{process.inner_pid}/maps").read_text()
    assert by_index(own) == pytest.approx(dict(enumerate(scores(model, THINGS).values())), abs=CLOSE)
