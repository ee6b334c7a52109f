"""The Python client with a real service."""

from pathlib import Path
from typing import Any

import pytest

from scripts.client.wanwu_client import Client, ImageError, QueueFullError, RequestError, UnknownModelError
from tests import folders
from tests.local.clients.service import BLUE, RED, serving, url
from tests.local.gateway_harness import Gateway


def test_the_client_classifies_and_says_what_is_served(gateway: Gateway) -> None:
    with Client(url(gateway)) as client:
        answer = client.classify(folders.image(folders.RED), top_k=1, heat_map=True)
        assert answer.best is not None
        assert (answer.best.label, answer.best.label_zh, answer.model) == ("猫 cat", "猫", "bright")
        assert (answer.heat_map or b"")[:4] == b"\x89PNG"
        assert client.classify(RED, threshold=0.9, labels="zh").predictions[0].label == "猫"
        (model,) = client.models()
        assert (model.name, model.ready, model.classes) == ("bright", True, 3)
        assert client.model("bright").languages == model.languages == ("zh", "en")
        assert (client.workers(), client.is_ready(), client.is_ready("nobody")) == (2, True, False)
        found = list(client.classify_many([RED, b"text", BLUE], top_k=1))
        assert [outcome.answer and outcome.answer.predictions[0].label_en for outcome in found] == ["cat", None, "tea"]


def test_the_client_s_errors_have_the_service_s_code(gateway: Gateway) -> None:
    cases: list[tuple[type[RequestError], str, bytes, Any]] = [
        (ImageError, "unsupported_type", b"text", {}),
        (ImageError, "undecodable", RED[:200], {}),
        (ImageError, "body_too_large", bytes(33 << 20), {}),
        (RequestError, "bad_parameter", RED, {"top_k": 0}),
        (RequestError, "empty_image", b"", {}),
        (UnknownModelError, "unknown_model", RED, {"model": "nobody"}),
    ]
    with Client(url(gateway)) as client:
        for kind, code, image, parameters in cases:
            with pytest.raises(kind, match=r"found .* needed ") as caught:
                client.classify(image, **parameters)
            assert (caught.value.code, bool(caught.value.request_id)) == (code, True)


def test_the_client_waits_where_the_queue_is_full(tmp_path: Path) -> None:
    with serving(tmp_path, QUEUE=1, MAX_IMAGES=1) as gateway:
        with Client(url(gateway), retry_for_s=0) as client:
            refused = [outcome.error for outcome in client.classify_many([RED] * 40, at_once=16) if outcome.error]
        assert {type(error) for error in refused} == {QueueFullError}
        with Client(url(gateway)) as client:
            answers = [outcome.answer for outcome in client.classify_many([RED] * 24, at_once=6)]
    assert None not in answers
