"""What went wrong on the way, in one line that says what to do; the clients' own messages are for programmers."""

import errno
import os
import re

from httpx2 import HTTPError, RequestError
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from modelscope_hub.constants import DEFAULT_ENDPOINT
from modelscope_hub.errors import APIError, HubError, NetworkError, RequestTimeoutError

from scripts.models.tools.sources import MIRRORS

UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
BY_HAND = "or carry the files here by hand and `make model-add SOURCE=PATH`"


def explained(error: Exception, source: str) -> str | None:
    """The line for what a client raised while it fetched `source`, or None for what no client should raise."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{source}: found no space left on the disk, needed room for the rest: make room"
    if isinstance(error, OfflineModeIsEnabled):
        return f"{source}: found HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE set: unset it to fetch"
    if isinstance(error, HFValidationError):
        return f"SOURCE: found {source}, needed hf:ORGANISATION/NAME"
    if isinstance(error, HfHubHTTPError):
        return _hugging_face(error, source)
    if isinstance(error, HubError):
        return _modelscope(error, source)
    if isinstance(error, HTTPError):
        asked = error.request.url if isinstance(error, RequestError) else None
        said = str(error).partition("\n")[0] or type(error).__name__
        return _unreachable(f"{asked.scheme}://{asked.netloc.decode()}" if asked else source, error, said, source)
    if isinstance(error, OSError):
        return f"{source}: {str(error).splitlines()[0]}"
    return None


def _hugging_face(error: HfHubHTTPError, source: str) -> str:
    """What the Hub, or another server asked by its client, refused."""
    url, status = error.response.request.url, error.response.status_code
    if isinstance(error, GatedRepoError):
        page = f"{constants.ENDPOINT}/{source.partition(':')[2]}"
        return f"{source}: gated: accept its terms at {page}, then set HF_TOKEN to a token of yours"
    if isinstance(error, RepositoryNotFoundError):
        return f"{source}: {constants.ENDPOINT} has none such, or it is private: check the name, or set HF_TOKEN"
    if isinstance(error, RevisionNotFoundError):
        return f"REVISION: {source} has none such: needed a branch, a tag or a commit of it"
    if status in (UNAUTHORIZED, FORBIDDEN):
        return f"{url}: answered {status}: needed leave to read it, HF_TOKEN for a repository of the Hub; {BY_HAND}"
    if status == NOT_FOUND:
        return f"{url}: answered 404, no such file: check the name{_mirror(source)}"
    return f"{url}: answered {status}: try again later{_mirror(source)}"


def _modelscope(error: HubError, source: str) -> str:
    endpoint = os.environ.get(MIRRORS["ms"]) or DEFAULT_ENDPOINT
    status = error.status_code if isinstance(error, APIError) else None
    if isinstance(error, NetworkError):
        # What its client says of the rest is in Chinese.
        said = "no answer in time" if isinstance(error, RequestTimeoutError) else "it broke off"
        return _unreachable(endpoint, error, said, source)
    if status in (UNAUTHORIZED, FORBIDDEN):
        return f"{source}: {endpoint} answered {status}: needed leave to read it: set MODELSCOPE_API_TOKEN"
    if status == NOT_FOUND:
        return f"{source}: {endpoint} has none such, or no such REVISION, or it is private: check the name"
    return f"{source}: {error.message}: try again later{_mirror(source)}"


def _unreachable(place: str, error: Exception, said: str, source: str) -> str:
    numbered = re.search(r"\[Errno -?\d+\] ([\w ]+)", str(error))
    remedy = f"set https_proxy for a proxy{_mirror(source)}; {BY_HAND}"
    return f"{place}: no connection: {numbered[1] if numbered else said}: needed a network: {remedy}"


def _mirror(source: str) -> str:
    variable = MIRRORS.get(source.partition(":")[0])
    return f", {variable} for a mirror" if variable else ""
