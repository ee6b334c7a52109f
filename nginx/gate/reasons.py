"""Why a worker is not in rotation: what GET /status says of it. The page translates these texts; a test holds both."""

from enum import StrEnum


class Reason(StrEnum):
    """A text, or a template for `format`."""

    NOT_PROBED = "not probed yet"
    TIMED_OUT = "timed out"
    SYSTEM = "[Errno {number}] {fault}"
    NO_ADDRESS = "{host} has no address: {fault}"
    NO_NAME_SERVER = "{host}: the name server has not answered yet"
    BAD_PORT = "{address}: found port {port}, needed one from 1 to 65535"
    HUNG_UP = "it hung up"
    CUT_SHORT = "it closed the connection in the middle of its answer"
    LONG_HEADERS = "it sent more than {size} KB of headers"
    NO_STATUS = "it answered without an HTTP status"
    HEADER_LINE_FEED = "it sent a header with a line feed"
    BAD_LENGTH = "found Content-Length {length!r}, needed a number"
    BAD_CHUNK = "it sent a chunk without a length"
    NO_STATE = "its /readyz answered {status} without a known state"
    CONTRADICTION = "its /readyz answered {status} but says {state}"
    OTHER_WORKER = "{address} answers as worker {worker!r} of model {model!r}"
    EJECTED = "it answered with server errors while the others did not: ejected, for the {times}. time"
