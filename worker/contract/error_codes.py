"""The code of every error that a client can receive, with its HTTP status, meaning and remedy.

The worker raises ServiceError with a code, nginx/errors.conf answers with the same codes, and /openapi.json and
compose/reference/errors.md list them; tests compare all four. Clients rely on the codes: never rename one.
"""

from enum import Enum, StrEnum

RETRIED_STATUSES = frozenset({503})  # statuses of a worker after which Nginx tries another worker, once
WORKER_RETRY_S = 1  # Retry-After of a worker that is not ready or whose queue is full


class Sender(Enum):
    """The part of the service that answers with a code."""

    WORKER = "worker"
    GATEWAY = "gateway"
    BOTH = "worker, gateway"


WORKER, GATEWAY, BOTH = Sender


class ErrorCode(StrEnum):
    """An error code with its HTTP status, its sender, its meaning and the remedy for the client."""

    status: int
    sender: Sender
    meaning: str
    remedy: str

    def __new__(cls, code: str, status: int, sender: Sender, meaning: str, remedy: str) -> "ErrorCode":
        member = str.__new__(cls, code)
        member._value_ = code
        member.status, member.sender, member.meaning, member.remedy = status, sender, meaning, remedy
        return member

    BAD_REQUEST = (
        "bad_request",
        400,
        BOTH,
        "The request is malformed, or does not have the form that its route expects.",
        "Correct it as the message says.",
    )
    BAD_PARAMETER = (
        "bad_parameter",
        400,
        WORKER,
        "A parameter is unknown, repeated, or has a value that is not allowed.",
        "Correct or remove the parameter.",
    )
    NO_IMAGE = (
        "no_image",
        400,
        WORKER,
        "The request contains no image.",
        "Send one as the multipart field `image` or as the body.",
    )
    EMPTY_IMAGE = (
        "empty_image",
        400,
        WORKER,
        "An image has no bytes.",
        "Check that the file was read before it was sent.",
    )
    TOO_MANY_IMAGES = (
        "too_many_images",
        400,
        WORKER,
        "The request contains more images than its route accepts at once.",
        "Send them in several requests.",
    )
    UNAUTHORIZED = (
        "unauthorized",
        401,
        GATEWAY,
        "The service asks for a key, and the request has none that it knows.",
        "Send a key as Authorization: Bearer KEY or as X-API-Key: KEY.",
    )
    FORBIDDEN = (
        "forbidden",
        403,
        GATEWAY,
        "The request's key is not for this model or this route.",
        "Ask the administrator for a key that is.",
    )
    UNKNOWN_MODEL = (
        "unknown_model",
        404,
        BOTH,
        "No model of this name, or no such version, is served.",
        "Choose one that the message or GET /models lists.",
    )
    UNKNOWN_EXAMPLE = (
        "unknown_example",
        404,
        WORKER,
        "The model has no example image of this number.",
        "Choose one that GET /models/NAME lists.",
    )
    UNKNOWN_ROUTE = (
        "unknown_route",
        404,
        BOTH,
        "Nothing is served at this address.",
        "Choose a route that GET /openapi.json lists.",
    )
    METHOD_NOT_ALLOWED = (
        "method_not_allowed",
        405,
        BOTH,
        "The route does not allow this method.",
        "Use one that the header Allow lists.",
    )
    REFUSED = (
        "refused",
        412,
        GATEWAY,
        "A condition such as If-Match is not met.",
        "Leave the condition out.",
    )
    BODY_TOO_LARGE = (
        "body_too_large",
        413,
        BOTH,
        "The body is larger than the service accepts, or has too many parts.",
        "Send fewer or smaller images.",
    )
    URI_TOO_LONG = ("uri_too_long", 414, GATEWAY, "The address is too long.", "Send parameters in the body.")
    UNSUPPORTED_TYPE = (
        "unsupported_type",
        415,
        WORKER,
        "The body or an image has a type that is not supported.",
        "Send a type that the message lists.",
    )
    UNSUPPORTED_ENCODING = (
        "unsupported_encoding",
        415,
        WORKER,
        "The body is compressed in a way that is not supported.",
        "Use a Content-Encoding that the header Accept-Encoding lists, or none.",
    )
    FOREIGN_HOST = (
        "foreign_host",
        421,
        GATEWAY,
        "The header Host names what may be another site, whose page could make a browser ask here.",
        "Ask under an address or a name of the machine, or add the name to hosts in cluster.toml.",
    )
    UNDECODABLE = ("undecodable", 422, WORKER, "An image is damaged or cut short.", "Send a complete file.")
    TOO_MANY_PIXELS = ("too_many_pixels", 422, WORKER, "An image has more pixels than are allowed.", "Scale it down.")
    TOO_MANY_TILES = (
        "too_many_tiles",
        422,
        WORKER,
        "An image would be cut into more tiles than are allowed.",
        "Scale it down.",
    )
    TOO_FEW_BANDS = (
        "too_few_bands",
        422,
        WORKER,
        "An image has fewer bands than the model needs.",
        "Send an image with all bands.",
    )
    IMAGE_TOO_COSTLY = (
        "image_too_costly",
        422,
        WORKER,
        "Decoding the image would take more memory or work than is served.",
        "Scale it down, or save it as a baseline JPEG or a PNG without interlacing.",
    )
    UNSUPPORTED_COMPRESSION = (
        "unsupported_compression",
        422,
        WORKER,
        "An image of a served type is compressed or stored in a way that is not supported.",
        "Save it as the message says, such as a PNG or a baseline JPEG.",
    )
    TLS_REQUIRED = (
        "tls_required",
        426,
        GATEWAY,
        "The request came over plain HTTP, and the service has TLS.",
        "Ask https:// at the same port.",
    )
    QUEUE_FULL = (
        "queue_full",
        429,
        WORKER,
        "The worker's queue has no room for the images of this request.",
        "Send it again after the seconds in Retry-After.",
    )
    TOO_MANY_REQUESTS = (
        "too_many_requests",
        429,
        GATEWAY,
        "This client, or all together, send more at once than the gateway takes.",
        "Send it again after the seconds in Retry-After, and fewer at once.",
    )
    HEADERS_TOO_LARGE = ("headers_too_large", 431, GATEWAY, "A header is too long.", "Send shorter headers.")
    CLIENT_GONE = (
        "client_gone",
        499,
        WORKER,
        "The client closed its connection, or its half of it, before the answer.",
        "Keep the connection open in both directions until the answer has come.",
    )
    INTERNAL = (
        "internal",
        500,
        WORKER,
        "The worker failed on this request.",
        "Report the request ID; the worker's log has the details.",
    )
    GATEWAY_FAILED = (
        "gateway_failed",
        500,
        GATEWAY,
        "The gateway failed on this request.",
        "Report the request ID; the gateway's error log has the details.",
    )
    UNKNOWN_ENCODING = (
        "unknown_encoding",
        501,
        GATEWAY,
        "The request's Transfer-Encoding is not supported.",
        "Use chunked or Content-Length.",
    )
    NOT_READY = (
        "not_ready",
        503,
        BOTH,
        "No worker is ready to answer.",
        "Send the request again after the seconds in Retry-After; GET /status shows the workers.",
    )
    DEADLINE = ("deadline", 504, BOTH, "No answer was ready in time.", "Send fewer images at once, or try again later.")
    UNKNOWN_VERSION = ("unknown_version", 505, GATEWAY, "The HTTP version is not supported.", "Use HTTP/1.1.")

    @property
    def retried(self) -> bool:
        """Whether Nginx tries another worker after this code."""
        return self.status in RETRIED_STATUSES and self.sender is not Sender.GATEWAY

    @property
    def retry_after_s(self) -> int | None:
        """Seconds in a worker's Retry-After header; None if it sends none."""
        return WORKER_RETRY_S if self.status in (429, 503) else None
