"""Turn the exceptions of the download clients, written for programmers, into one line that says what to do."""

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
COPY_FILES = "or copy the files here and run `make model-add SOURCE=PATH`"


def user_message(error: Exception, source: str) -> str | None:
    """Return a line for an exception raised while fetching `source`; None for an exception that is not foreseen."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"{source}: found no space left on the disk, needed space for the rest: free some space"
    if isinstance(error, OfflineModeIsEnabled):
        return f"{source}: found HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE set: unset it to fetch"
    if isinstance(error, HFValidationError):
        return f"SOURCE: found {source}, needed hf:ORGANISATION/NAME"
    if isinstance(error, HfHubHTTPError):
        return _hugging_face(error, source)
    if isinstance(error, HubError):
        return _modelscope(error, source)
    if isinstance(error, HTTPError):
        url = error.request.url if isinstance(error, RequestError) else None
        reason = str(error).partition("\n")[0] or type(error).__name__
        return _unreachable(f"{url.scheme}://{url.netloc.decode()}" if url else source, error, reason, source)
    if isinstance(error, OSError):
        return f"{source}: {str(error).splitlines()[0]}"
    return None


def _hugging_face(error: HfHubHTTPError, source: str) -> str:
    """Return a line for an error status of the Hub, or of another server that its client was used for."""
    url, status = error.response.request.url, error.response.status_code
    if isinstance(error, GatedRepoError):
        page = f"{constants.ENDPOINT}/{source.partition(':')[2]}"
        return f"{source}: gated: accept its terms at {page}, then set HF_TOKEN to your access token"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"{source}: {constants.ENDPOINT} has no such repository, or it is private: check the name, or set HF_TOKEN"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"REVISION: {source} has no such revision: needed one of its branches, tags or commits"
    if status in (UNAUTHORIZED, FORBIDDEN):
        return (
            f"{url}: answered {status}: needed permission to read it: set HF_TOKEN for a repository of the Hub, "
            f"{COPY_FILES}"
        )
    if status == NOT_FOUND:
        return f"{url}: answered 404, no such file: check the name{_mirror(source)}"
    return f"{url}: answered {status}: try again later{_mirror(source)}"


def _modelscope(error: HubError, source: str) -> str:
    endpoint = os.environ.get(MIRRORS["ms"]) or DEFAULT_ENDPOINT
    status = error.status_code if isinstance(error, APIError) else None
    if isinstance(error, NetworkError):
        # The client's own messages for other network errors are in Chinese.
        reason = "no answer in time" if isinstance(error, RequestTimeoutError) else "it was lost"
        return _unreachable(endpoint, error, reason, source)
    if status in (UNAUTHORIZED, FORBIDDEN):
        return f"{source}: {endpoint} answered {status}: needed permission to read it: set MODELSCOPE_API_TOKEN"
    if status == NOT_FOUND:
        return f"{source}: {endpoint} has no such repository or REVISION, or it is private: check the name"
    return f"{source}: {error.message}: try again later{_mirror(source)}"


def _unreachable(server: str, error: Exception, reason: str, source: str) -> str:
    errno_text = re.search(r"\[Errno -?\d+\] ([\w ]+)", str(error))
    remedy = f"set https_proxy for a proxy{_mirror(source)}; {COPY_FILES}"
    return f"{server}: no connection: {errno_text[1] if errno_text else reason}: needed a network: {remedy}"


def _mirror(source: str) -> str:
    variable = MIRRORS.get(source.partition(":")[0])
    return f", {variable} for a mirror" if variable else ""
