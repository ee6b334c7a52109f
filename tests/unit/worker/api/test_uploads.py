"""From a request's body to images and parameters."""

import base64
import gzip
import json
import zlib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import encode_multipart_formdata
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import EnvironBuilder

from tests.errors import code_of
from tests.limits import MAX_BODY_BYTES
from worker.api.body import Body
from worker.api.routes.hugging_face import INFERENCE_UPLOAD
from worker.api.uploads import Upload, check_answer, query, read_upload
from worker.contract.errors import ErrorCode, ServiceError
from worker.contract.limits import FREE_BODY_BYTES
from worker.decode import Budget
from worker.decode.budget import no_deadline

PNG = b"\x89PNG\r\n\x1a\n and more"
TWO = [("image", ("a.png", b"one")), ("image", ("猫.png", b"two"))]


def sent(body: bytes, content_type: str | None, headers: Mapping[str, str] | None = None, path: str = "/") -> Body:
    builder = EnvironBuilder(
        path, method="POST", data=body, content_type=content_type, headers=[*(headers or {}).items()]
    )
    return Body(builder.get_environ(), MAX_BODY_BYTES, Budget(2 * MAX_BODY_BYTES), no_deadline)


def read(body: bytes, content_type: str | None, max_images: int = 3) -> Upload:
    return read_upload(sent(body, content_type), max_images)


def read_json(body: object) -> Upload:
    return read(body if isinstance(body, bytes) else json.dumps(body).encode(), "application/json")


def refusal(body: bytes, content_type: str | None) -> ErrorCode:
    return code_of(read, body, content_type)


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("content_type", ["image/png", "image/x-unheard-of", "application/octet-stream", None])
def test_a_raw_body_is_one_image(content_type: str | None) -> None:
    assert read(b"bytes", content_type) == Upload(((None, b"bytes"),), {})


def test_a_form_holds_images_with_their_names_and_parameters() -> None:
    body, content_type = encode_multipart_formdata([*TWO, ("top_k", "2")])
    assert read(body, content_type) == Upload((("a.png", b"one"), ("猫.png", b"two")), {"top_k": "2"})


@given(st.binary(max_size=60), st.booleans())
def test_json_carries_any_bytes_as_base64(data: bytes, as_url: bool) -> None:
    prefix = "data:image/png;base64," if as_url else ""
    upload = read_json({"inputs": prefix + base64_of(data), "parameters": {"top_k": 2}})
    assert upload == Upload(((None, data),), {"top_k": 2})


@pytest.mark.parametrize("options", [None, {}, {"wait_for_model": True, "use_cache": False}])
def test_the_inference_apis_options_are_taken_on_its_route_alone(options: object) -> None:
    body = json.dumps({"inputs": base64_of(PNG), "options": options}).encode()
    upload = read_upload(sent(body, "application/json"), 1, json_upload=INFERENCE_UPLOAD)
    assert upload == Upload(((None, PNG),), {})
    assert refusal(body, "application/json") is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("parameters", [{}, {"parameters": None}, {"parameters": {}}])
def test_json_needs_no_parameters(parameters: Mapping[str, object]) -> None:
    assert read_json({"inputs": "", **parameters}) == Upload(((None, b""),), {})


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", None),
        (b"", "application/octet-stream"),
        (b"{}", "application/json"),
        (b'{"inputs": null}', "application/json"),
        (b"", "multipart/form-data; boundary=x"),
        encode_multipart_formdata([("top_k", "2")], boundary="x"),
        encode_multipart_formdata([("image", ("", b""))], boundary="x"),  # a browser, when no file was chosen
    ],
)
def test_a_request_without_an_image_is_refused(body: bytes, content_type: str | None) -> None:
    assert refusal(body, content_type) is ErrorCode.NO_IMAGE


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"", "image/png"), encode_multipart_formdata([("image", ("a.png", b""))])],
)
def test_an_image_without_bytes_is_left_to_the_decoder(body: bytes, content_type: str) -> None:
    assert [image for _, image in read(body, content_type).images] == [b""]


MEMORY = 3 * FREE_BODY_BYTES


@pytest.mark.parametrize(
    ("body", "headers", "held"),
    [
        (bytes(FREE_BODY_BYTES), {}, 0),
        (bytes(FREE_BODY_BYTES + 1), {}, FREE_BODY_BYTES + 1),
        (gzip.compress(bytes(FREE_BODY_BYTES)), {"Content-Encoding": "gzip"}, 0),
        (gzip.compress(bytes(FREE_BODY_BYTES + 1)), {"Content-Encoding": "gzip"}, 2 * FREE_BODY_BYTES),
    ],
    ids=["small", "large", "small when inflated", "large when inflated"],
)
def test_the_memory_of_a_large_body_is_held_until_it_is_closed(
    body: bytes, headers: Mapping[str, str], held: int
) -> None:
    memory = Budget(MEMORY)
    environ = EnvironBuilder(method="POST", data=body, headers=[*headers.items()]).get_environ()
    received = Body(environ, 2 * FREE_BODY_BYTES, memory, no_deadline)
    received.read()
    assert is_free(memory, MEMORY - held)
    assert not is_free(memory, MEMORY - held + 1)
    received.close()
    assert is_free(memory, MEMORY)


def is_free(memory: Budget, count: int) -> bool:
    def too_late() -> float:
        raise TimeoutError

    try:
        with memory.hold(count, too_late):
            return True
    except (TimeoutError, ServiceError):
        return False


def test_too_many_images_are_refused() -> None:
    body, content_type = encode_multipart_formdata(TWO * 2)
    assert refusal(body, content_type) is ErrorCode.TOO_MANY_IMAGES
    assert refusal(json.dumps({"inputs": [base64_of(b"")] * 4}).encode(), "application/json") is (
        ErrorCode.TOO_MANY_IMAGES
    )


def test_json_carries_several_images() -> None:
    assert read_json({"inputs": [base64_of(b"one"), base64_of(b"two")]}).images == ((None, b"one"), (None, b"two"))


@pytest.mark.parametrize(
    "content_type",
    [
        "binary/octet-stream", "application/binary", "*/*", None, "application/x-www-form-urlencoded", "text/plain",
        "image", "application/json", "multipart/form-data", "application/x-unheard-of; a=b",
    ],
)  # fmt: skip
def test_an_image_is_one_whatever_its_type_says(content_type: str | None) -> None:
    assert read(PNG, content_type).images == ((None, PNG),)


@pytest.mark.parametrize("content_type", ["binary/octet-stream", "application/binary", "application/x-binary", "*/*"])
def test_types_that_say_nothing_leave_it_to_the_decoder(content_type: str) -> None:
    assert read(b"bytes", content_type).images == ((None, b"bytes"),)


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "text/plain", None, "text/json", "application/vnd.x+json"]
)
def test_json_is_read_whatever_its_type_says(content_type: str | None) -> None:
    assert read(b'\xef\xbb\xbf {"inputs": "aGk="}', content_type).images == ((None, b"hi"),)


def test_json_may_have_raw_line_breaks_in_base64() -> None:
    text = base64.encodebytes(PNG * 20)
    assert b"\n" in text
    assert read(b'{"inputs": "%s"}' % text, "application/json").images == ((None, PNG * 20),)


HEADS = {
    "C#": b"Content-Disposition: form-data; name=image\r\nContent-Type: image/png",
    "C# without a type": b'Content-Disposition: form-data; name="image"',
    "Java": b'Content-Disposition: form-data; name="image"\r\nContent-Type: application/octet-stream\r\n'
    b"Content-Transfer-Encoding: binary",
    "an encoded name": b"Content-Disposition: form-data; name*=UTF-8''image",
    "a list of PHP": b'Content-Disposition: form-data; name="image[]"; filename="a.png"',
    "a list of axios": b'Content-Disposition: form-data; name="images[0]"; filename="a.png"',
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("data", [PNG, base64.b64encode(PNG), b"data:image/png;base64," + base64.encodebytes(PNG)])
def test_a_part_of_a_form_is_an_image_with_or_without_a_file_name(head: bytes, data: bytes) -> None:
    body = b"--x\r\n" + head + b"\r\n\r\n" + data + b"\r\n--x--\r\n"
    assert [image for _, image in read(body, "multipart/form-data; boundary=x").images] == [PNG]


def test_text_in_the_images_field_is_named() -> None:
    body, content_type = encode_multipart_formdata([("image", "photo.jpg")])
    assert refusal(body, content_type) is ErrorCode.BAD_REQUEST
    typed = b"--x\r\nContent-Disposition: form-data; name=image\r\nContent-Type: text/plain; a=b\r\n\r\na\r\n--x--"
    assert refusal(typed, "multipart/form-data; boundary=x") is ErrorCode.BAD_REQUEST


def test_an_image_without_a_file_name_in_another_field_is_refused() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: image/png\r\n\r\n1\r\n--x--\r\n'
    assert refusal(body, "multipart/form-data; boundary=x") is ErrorCode.BAD_REQUEST


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_compressed_body_is_inflated(coding: str) -> None:
    body = gzip.compress(PNG) if coding == "gzip" else zlib.compress(PNG)
    assert read_upload(sent(body, "image/png", {"Content-Encoding": coding}), 1).images == ((None, PNG),)


def test_a_body_that_inflates_beyond_the_limit_is_refused() -> None:
    bomb = sent(gzip.compress(bytes(MAX_BODY_BYTES + 1)), "image/png", {"Content-Encoding": "gzip"})
    with pytest.raises(RequestEntityTooLarge):
        read_upload(bomb, 1)


def test_a_file_in_another_field_is_refused() -> None:
    body, content_type = encode_multipart_formdata([*TWO, ("file", ("a.png", b"one"))])
    assert refusal(body, content_type) is ErrorCode.BAD_REQUEST


def test_a_field_given_twice_is_refused() -> None:
    body, content_type = encode_multipart_formdata([*TWO, ("top_k", "2"), ("top_k", "3")])
    assert refusal(body, content_type) is ErrorCode.BAD_PARAMETER


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/xml"])
def test_another_content_type_is_refused(content_type: str) -> None:
    assert refusal(b"image=x", content_type) is ErrorCode.UNSUPPORTED_TYPE


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b"null",
        b"{",
        b"",
        b"\xff",
        b"[" * 200_000,
        b'{"top_k": ' + b"9" * 5000 + b"}",
        b'{"image": "", "a": 1}',
        rb'{"\ud800": 1}',
        b'{"inputs": "", "parameters": []}',
        b'{"inputs": "", "parameters": 0}',
        b'{"inputs": ["aaaa", 3]}',
        b'{"inputs": [["aaaa"]]}',
        b'{"inputs": 3}',
        b'{"inputs": "aGkab"}',
        b'{"inputs": "a*k="}',
    ],
)
def test_json_that_is_not_the_contracts_is_refused(body: bytes) -> None:
    assert refusal(body, "application/json") is ErrorCode.BAD_REQUEST


def test_an_answer_of_too_many_classes_is_refused_before_the_inference() -> None:
    check_answer(10, 100, 1000)
    assert code_of(check_answer, 10, 101, 1000) is ErrorCode.TOO_MANY_IMAGES


def test_a_body_of_more_than_the_limit_is_not_read() -> None:
    with pytest.raises(RequestEntityTooLarge):
        read(bytes(MAX_BODY_BYTES + 1), "image/png")
    assert len(read(bytes(MAX_BODY_BYTES), "image/png").images[0][1]) == MAX_BODY_BYTES


def test_a_body_that_ends_too_soon_is_of_a_client_that_has_gone() -> None:
    cut = sent(PNG[:5], "image/png")
    cut.environ["CONTENT_LENGTH"] = str(len(PNG))
    assert code_of(read_upload, cut, 1) is ErrorCode.CLIENT_GONE


def test_a_query_is_read_and_a_parameter_twice_refused() -> None:
    assert query({"QUERY_STRING": "top_k=2&labels=zh%C3%A9+%FF&threshold="}) == {
        "top_k": "2", "labels": "zhé %FF", "threshold": "",
    }  # fmt: skip
    assert code_of(query, {"QUERY_STRING": "top_k=2&top_k=2"}) is ErrorCode.BAD_PARAMETER
