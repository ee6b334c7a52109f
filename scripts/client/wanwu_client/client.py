"""The client: one method for each thing that is asked of the service, and the waits between two tries."""

import json
import os
import re
import threading
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack
from urllib.parse import quote, urlencode, urlsplit

from .answers import Answer, Model, read_answer, read_models
from .errors import (
    DEFAULT_RETRY_S,
    KeyRefusedError,
    NoAnswerError,
    NotReadyError,
    QueueFullError,
    UnexpectedAnswerError,
    UnreachableError,
    WanwuError,
    service_error,
)
from .many import Outcome, in_parallel
from .transport import Response, Transport
from .uploads import Image, opened, stored

if TYPE_CHECKING:
    import requests

# The service goes by the bytes; declared as an image, a text is refused as one instead of being read as JSON.
HEADERS = {"Content-Type": "image/x-unknown", "Accept": "application/json"}
FORBIDDEN = 403
KEY = re.compile(r"[!-~]*")  # what a header may hold
MIN_RETRY_S = 0.1  # also if Retry-After says 0
ImageT = TypeVar("ImageT", bound=Image)


class Parameters(TypedDict, total=False):
    """The parameters of POST /predict; without one, or with None, the model's own default holds."""

    model: str | None
    top_k: int | None
    threshold: float | None
    labels: str | None
    heat_map: bool | None
    candidate_labels: Sequence[str] | None
    hypothesis_template: str | None


class Client:
    """A client of the service at `url`; its methods may be called from any thread.

    A request that meets 429 or 503 is sent again after the seconds in Retry-After, for `retry_for_s` seconds in all;
    then QueueFullError or NotReadyError is raised. A broken connection is tried once more at once and, with
    `retry_unreachable`, for as long. `timeout_s` limits one try. `session` is a `requests.Session` with proxies,
    certificates or authentication; `transport` replaces `requests`. `verify` is the file of the certificate authority
    that an https:// service is trusted by, instead of the public ones. `key` is sent to a service that asks for one.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        key: str = "",
        timeout_s: float = 60,
        retry_for_s: float = 60,
        retry_unreachable: bool = False,
        session: "requests.Session | None" = None,
        verify: str | os.PathLike[str] | bool | None = None,
        transport: Transport | None = None,
    ) -> None:
        if not _is_address(url):
            raise ValueError(f"found the URL {url!r}, needed one such as http://127.0.0.1:8080: correct it")
        if not KEY.fullmatch(key):
            raise ValueError("found a key with spaces or other characters that no key has, needed one as it was given")
        self._authorization = {"Authorization": f"Bearer {key}"} if key else {}
        if transport is None:
            from .requests_transport import RequestsTransport  # here, so that another transport needs no requests

            transport = RequestsTransport(session, os.fspath(verify) if isinstance(verify, os.PathLike) else verify)
        self.url, self._transport, self._timeout_s = url.rstrip("/"), transport, timeout_s
        self._retry_for_s, self._retry_unreachable = retry_for_s, retry_unreachable

    def classify(self, image: Image, **parameters: Unpack[Parameters]) -> Answer:
        """Return the classes of `image`: a path, bytes, an open file or an image of Pillow.

        Raise WanwuError: ImageError if the service does not take this image, RequestError for a bad parameter,
        UnreadableError for a file that cannot be read.
        """
        return self._classify(stored(image), _query(parameters), threading.Event())

    def classify_many(
        self, images: Iterable[ImageT], *, at_once: int | None = None, **parameters: Unpack[Parameters]
    ) -> Generator[Outcome[ImageT], None, None]:
        """Yield an Outcome for each of `images`, in their order; one that fails does not end the others.

        `at_once` requests are in flight, by default one for each worker of the model. `images` may be endless: they are
        taken as they are needed.
        """
        query, cancelled = _query(parameters), threading.Event()

        def classify(image: ImageT) -> Answer:
            return self._classify(stored(image), query, cancelled)

        return in_parallel(classify, images, at_once or self.workers(parameters.get("model")), cancelled.set)

    def models(self) -> list[Model]:
        """Return the served models; the first is the one that answers if none is named."""
        return read_models(self._get("/models"))

    def model(self, name: str) -> Model:
        """Return the model `name`; raise UnknownModelError if it is not served."""
        return read_models({"models": [{"ready": True, **self._get(f"/models/{quote(name, safe='')}")}]})[0]

    def workers(self, model: str | None = None) -> int:
        """Return how many workers `model`, or the first one, has, ready or not; at least 1."""
        return max(1, int(self._model_status(model).get("workers", 1)))

    def is_ready(self, model: str | None = None) -> bool:
        """Return whether a worker of `model`, or of the first one, is ready; raise WanwuError if nothing answers."""
        return bool(self._model_status(model).get("ready"))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _model_status(self, model: str | None) -> Mapping[str, Any]:
        """Return what GET /status says of `model`, or of the first one; nothing if it does not know it."""
        try:
            models = self._get("/status").get("models")
        except KeyRefusedError as error:
            if error.status != FORBIDDEN:
                raise
            models = self._get("/models").get("models")  # for every key, and with the same numbers
        if not isinstance(models, list) or not all(isinstance(row, dict) for row in models):
            raise UnexpectedAnswerError(f"found no models in {self.url}/status, needed Wanwu's: check the URL")
        return next((row for row in models if model in (None, row.get("name"))), {})

    def _get(self, path: str) -> dict[str, Any]:
        return _document(
            self._transport.send("GET", self.url + path, None, self._authorization, self._timeout_s), self.url + path
        )

    def _classify(self, image: Path | bytes, query: str, cancelled: threading.Event) -> Answer:
        """Send the request until it is answered, may not be sent again, or `cancelled` is set."""
        give_up, broken = time.monotonic() + self._retry_for_s, False
        while True:
            try:
                return read_answer(self._post(image, f"{self.url}/predict{query}"))
            except (QueueFullError, NotReadyError) as error:
                reason: WanwuError = error
                wait_s = max(error.retry_after_s or 0.0, MIN_RETRY_S)
            except UnreachableError as error:
                if not broken and not isinstance(error, NoAnswerError):
                    broken = True  # a kept connection may have been closed just as this request left
                    continue
                if not self._retry_unreachable:
                    raise
                reason, wait_s = error, DEFAULT_RETRY_S
            if time.monotonic() + wait_s > give_up or cancelled.wait(wait_s):
                raise reason

    def _post(self, image: Path | bytes, url: str) -> dict[str, Any]:
        with opened(image) as body:
            headers = HEADERS | self._authorization | {"Content-Length": str(len(body))}
            return _document(self._transport.send("POST", url, body, headers, self._timeout_s), url)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment


def _query(parameters: Mapping[str, Any]) -> str:
    """Return the parameters as the query of an address: booleans and lists as in JSON."""
    texts = {
        name: json.dumps(value) if isinstance(value, bool | list | tuple) else value
        for name, value in parameters.items()
        if value is not None
    }
    return f"?{urlencode(texts)}" if texts else ""


def _document(response: Response, url: str) -> dict[str, Any]:
    """Return the JSON object of a good answer; raise ServiceError or UnexpectedAnswerError for any other."""
    if response.status == 308:
        raise UnexpectedAnswerError(f"found HTTPS at {url}, needed its address: begin the URL with https://")
    if response.status >= 400:
        raise service_error(response.status, response.body, response.retry_after)
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        document = None
    if response.status == 200 and isinstance(document, dict):
        return document
    raise UnexpectedAnswerError(
        f"found an answer of HTTP {response.status} at {url} that is not Wanwu's JSON, needed Wanwu: check the URL"
    )
