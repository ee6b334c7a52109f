"""The two borrowed protocols, spoken by their own clients: huggingface_hub and tritonclient."""

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from huggingface_hub import ImageClassificationOutputElement, InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

from tests import folders, images
from tests.local.worker_harness import WorkerProcess, running
from worker.contract.version import VERSION

COLOURS = {"cat": (200, 60, 60), "dog": (60, 200, 60), "tea": (60, 60, 200)}
IMAGES = {label: images.encoded(folders.image(colour), "PNG") for label, colour in COLOURS.items()}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    home = tmp_path_factory.mktemp("protocols")
    with running(folders.openvino_folder(home / "bright"), home / "log") as process:
        yield process


def scores_of(worker: WorkerProcess, image: bytes) -> dict[int, float]:
    """What /predict says of `image`: the measure of both protocols."""
    return {row["index"]: row["score"] for row in worker.predict(image).json["predictions"]}


# Hugging Face


@pytest.fixture
def hub(worker: WorkerProcess, monkeypatch: pytest.MonkeyPatch) -> InferenceClient:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return InferenceClient(timeout=60)


def classify(hub: InferenceClient, worker: WorkerProcess, image: object, **options: object) -> list[tuple[str, float]]:
    url = f"http://127.0.0.1:{worker.port}/models/bright"
    rows: list[ImageClassificationOutputElement] = hub.image_classification(image, model=url, **options)  # type: ignore[arg-type]
    return [(row.label, row.score) for row in rows]


@pytest.mark.parametrize("label", IMAGES)
def test_the_hub_client_classifies_bytes(hub: InferenceClient, worker: WorkerProcess, label: str) -> None:
    rows = classify(hub, worker, IMAGES[label])
    assert rows[0][0].endswith(f" {label}")
    assert [score for _, score in rows] == pytest.approx(list(scores_of(worker, IMAGES[label]).values()))


def test_the_hub_client_classifies_a_file(hub: InferenceClient, worker: WorkerProcess, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    file.write_bytes(IMAGES["tea"])
    assert classify(hub, worker, file)[0][0] == "茶 tea"


def test_the_hub_client_may_say_how_many(hub: InferenceClient, worker: WorkerProcess) -> None:
    assert [label for label, _ in classify(hub, worker, IMAGES["dog"], top_k=1)] == ["狗 dog"]


def test_the_hub_client_may_choose_the_function(hub: InferenceClient, worker: WorkerProcess) -> None:
    by_name = {
        function: dict(classify(hub, worker, IMAGES["cat"], function_to_apply=function, top_k=3))
        for function in ("none", "softmax", "sigmoid")
    }
    logits = by_name["none"]
    powers = {label: np.exp(logit) for label, logit in logits.items()}
    assert by_name["softmax"] == pytest.approx(
        {label: power / sum(powers.values()) for label, power in powers.items()}, abs=1e-5
    )
    assert by_name["sigmoid"] == pytest.approx(
        {label: power / (1 + power) for label, power in powers.items()}, abs=1e-5
    )


def test_the_hub_client_is_told_what_is_wrong(hub: InferenceClient, worker: WorkerProcess) -> None:
    with pytest.raises(HfHubHTTPError, match="415") as caught:
        classify(hub, worker, b"This is no image.")
    assert caught.value.response.json()["error"]["code"] == "unsupported_type"


# Open Inference Protocol


@pytest.fixture(scope="module")
def client(worker: WorkerProcess) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{worker.port}") as found:
        yield found


def tensor(images: list[bytes], binary: bool = True) -> triton.InferInput:
    found = triton.InferInput("image", [len(images)], "BYTES")
    values = images if binary else [base64.b64encode(image) for image in images]
    found.set_data_from_numpy(np.array(values, dtype=object), binary_data=binary)
    return found


def test_the_triton_client_finds_server_and_model(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("bright")
    assert client.is_model_ready("bright", "1")
    assert not client.is_model_ready("dark")
    assert not client.is_model_ready("bright", "2")
    assert client.get_server_metadata() == {
        "name": "wanwu", "version": VERSION,
        "extensions": ["classification", "binary_tensor_data", "model_configuration", "statistics"],
    }  # fmt: skip
    assert client.get_model_metadata("bright") == {
        "name": "bright",
        "versions": ["1"],
        "platform": "openvino",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
    }


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_the_triton_client_gets_the_scores_of_several_images(
    client: triton.InferenceServerClient, worker: WorkerProcess, binary_in: bool, binary_out: bool
) -> None:
    images = list(IMAGES.values())
    wanted = [triton.InferRequestedOutput("scores", binary_data=binary_out)]
    result = client.infer("bright", [tensor(images, binary_in)], outputs=wanted, request_id="r1")
    scores = result.as_numpy("scores")
    assert (scores.dtype, scores.shape) == (np.float32, (3, 3))
    for row, image in zip(scores, images, strict=True):
        assert dict(enumerate(row.tolist())) == pytest.approx(scores_of(worker, image), abs=1e-5)
    answer = result.get_response()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("bright", "1", "r1")


def test_without_named_outputs_the_triton_client_gets_the_scores(client: triton.InferenceServerClient) -> None:
    scores = client.infer("bright", [tensor([IMAGES["tea"]])]).as_numpy("scores")
    assert (scores.shape, scores.argmax()) == ((1, 3), 2)


@pytest.mark.parametrize("binary", [True, False])
def test_the_triton_client_gets_the_best_classes_as_text(client: triton.InferenceServerClient, binary: bool) -> None:
    wanted = [triton.InferRequestedOutput("scores", binary_data=binary, class_count=2)]
    found = client.infer("bright", [tensor([IMAGES["dog"], IMAGES["cat"]])], outputs=wanted).as_numpy("scores")
    assert found.shape == (2, 2)
    texts = [text.decode() if isinstance(text, bytes) else text for text in found[:, 0]]
    assert [text.split(":", 1)[1] for text in texts] == ["1:狗 dog", "0:猫 cat"]
    assert all(0.9 < float(text.split(":")[0]) <= 1 for text in texts)


def test_the_triton_client_may_name_the_version(client: triton.InferenceServerClient) -> None:
    assert client.infer("bright", [tensor([IMAGES["tea"]])], model_version="1").as_numpy("scores").argmax() == 2


@pytest.mark.parametrize(
    ("model", "version", "images", "status", "words"),
    [
        ("dark", "", [IMAGES["tea"]], "404", 'found model "dark"'),
        ("bright", "2", [IMAGES["tea"]], "404", 'found version "2"'),
        ("bright", "", [b"text"], "415", "found no image of a served type"),
        ("bright", "", [IMAGES["tea"], b""], "400", "found 0 bytes"),
        ("bright", "", [IMAGES["tea"]] * 33, "400", "found 33 images"),
    ],
)
def test_the_triton_client_is_told_what_is_wrong(
    client: triton.InferenceServerClient, model: str, version: str, images: list[bytes], status: str, words: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, [tensor(images)], model_version=version)
    assert status in str(caught.value.status())
    assert words in str(caught.value)
