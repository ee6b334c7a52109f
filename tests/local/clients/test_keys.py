"""`make classify` and the clients in Python with a service that asks for a key."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.http as triton
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

from scripts.client.wanwu_client import Client, KeyRefusedError
from scripts.cluster.keys import OWN_VARIABLE, new_key
from tests.local.clients.service import BARE, BLUE, RED, serving, start, url
from tests.local.gateway_harness import Gateway

CLIENT, ADMIN = new_key("line-3", "client", ("bright",)), new_key("boss", "admin", ())
WRONG = new_key("line-3", "client", ())[0]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("guarded"), keys=[CLIENT[1], ADMIN[1]], key=ADMIN[0]) as found:
        yield found


def test_classify_takes_a_key_from_the_environment(guarded: Gateway, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(RED)
    for variable, options in ((OWN_VARIABLE, []), ("KEY", ["--key-variable", "KEY"])):
        process = start(guarded, "--images", tmp_path / "a.png", *options, env=BARE | {variable: CLIENT[0]})
        assert process.communicate()[1] == ""
        assert process.returncode == 0
        assert CLIENT[0] not in str(process.args)
    for key, said in (
        ("", "found no key that is known here"),
        (WRONG, "found no key that is known"),
        ("a b", "KEY: found"),
    ):
        process = start(guarded, "--images", tmp_path / "a.png", env=BARE | {OWN_VARIABLE: key})
        errors = process.communicate()[1]
        assert process.returncode == 1
        assert said in errors
        assert WRONG not in errors


def test_the_client_sends_its_key_and_needs_no_status(guarded: Gateway) -> None:
    for key in (CLIENT[0], ADMIN[0]):
        with Client(url(guarded), key=key) as one:
            assert one.classify(RED).predictions[0].label == "猫 cat"
            assert [outcome.error for outcome in one.classify_many([RED, BLUE])] == [None, None]
            assert (one.workers(), one.workers("bright"), one.is_ready()) == (1, 1, True)
    for key in ("", WRONG):
        with Client(url(guarded), key=key) as one, pytest.raises(KeyRefusedError, match="unauthorized"):
            one.classify(RED)
    with pytest.raises(ValueError, match="found a key with spaces") as error:
        Client(url(guarded), key="se\ncret")
    assert "cret" not in str(error.value)


def test_the_hub_s_and_triton_s_clients_send_a_key(guarded: Gateway) -> None:
    model = f"{url(guarded)}/models/bright"
    assert InferenceClient(token=CLIENT[0]).image_classification(RED, model=model)[0].label == "猫 cat"
    with pytest.raises(HfHubHTTPError, match="401"):
        InferenceClient(token=WRONG).image_classification(RED, model=model)
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([RED], dtype=object))
    with triton.InferenceServerClient(f"127.0.0.1:{guarded.port}") as client:
        for headers in ({"Authorization": f"Bearer {CLIENT[0]}"}, {"X-API-Key": CLIENT[0]}):
            assert client.get_model_repository_index(headers=headers)[0]["name"] == "bright"
            assert client.infer("bright", [image], headers=headers).as_numpy("scores") is not None
        with pytest.raises(InferenceServerException, match="found no key"):
            client.infer("bright", [image])
