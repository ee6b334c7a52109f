"""HTTP requests to a worker or the gateway, and the first prediction that `make up` prints."""

import json
import shlex
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts.base.console import say
from scripts.base.errors import CommandError

PREDICT_TIMEOUT_S = 30
BUSY = 429  # so other clients are being answered
NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME


_trusted = ""  # PEM


def service_context() -> ssl.SSLContext:
    """Return a context that takes the service's own certificates, under any name and past their end, and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # commands ask 127.0.0.1, of which a site's own certificate knows nothing
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    if _trusted:
        context.load_verify_locations(cadata=_trusted)
    return context


def trust(pem: str) -> None:
    """Take the certificates in `pem` for the service's from now on."""
    global _direct, _trusted
    _trusted = pem
    _direct = _opener()


def _opener() -> urllib.request.OpenerDirector:
    https = urllib.request.HTTPSHandler(context=service_context())
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), https)  # a proxy would not reach this machine


_direct = _opener()


def get(url: str, timeout_s: float = 2, key: str = "") -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object that `url` answers to a request, with `key` unless that is empty.

    The object is empty if the body is anything else; the status is 0 if nothing answers.
    """
    try:
        request = urllib.request.Request(url, headers=authorization(key))  # noqa: S310 - an address of our own
        with _direct.open(request, timeout=timeout_s) as response:
            return response.status, _json(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _json(error.read())
    except (OSError, HTTPException):
        return 0, {}


def authorization(key: str) -> dict[str, str]:
    """Return the header of a request with `key`; none if that is empty."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def print_prediction(endpoint: str, image: Path, shown: str = "", ca: Path | None = None, key: str = "") -> None:
    """Post `image` to the endpoint; print the equivalent curl command and the predictions.

    The command names the endpoint `shown`, if that is another, and the certificate authority `ca`. If the service is
    busy, say so instead. Raise CommandError if there is no answer, or if it is another error status or not JSON.
    """
    request = urllib.request.Request(  # noqa: S310 - the URL is our own endpoint
        f"{endpoint}/predict?top_k=3",
        data=image.read_bytes(),
        headers={"Content-Type": "application/octet-stream", **authorization(key)},
    )
    try:
        with _direct.open(request, timeout=PREDICT_TIMEOUT_S) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        if error.code == BUSY:
            say("busy with the requests of its clients: no prediction to show")
            return
        raise CommandError(
            f"{endpoint}/predict answered {error.code}: {error.read().decode(errors='replace')}"
        ) from error
    except (OSError, HTTPException, ValueError) as error:
        raise CommandError(f"{endpoint}/predict: no answer: {str(error).strip()}") from error
    options = "--noproxy '*' " if _has_proxy(shown or endpoint) else ""
    options += f"--cacert {shlex.quote(str(_short(ca)))} " if ca else ""
    options += '-H "Authorization: Bearer $KEY" ' if key else ""
    say(f"\n  curl {options}-F {shlex.quote(f'image=@{_short(image)}')} {shown or endpoint}/predict\n")
    for row in answer["predictions"]:
        names = [row[key] for key in ("label_zh", "label_en") if row[key]] or [row["label"]]
        say(f"  {row['score']:7.1%}  {'  '.join(names)}")
    say(f"\n  answered by {answer['worker']} in {answer['timing_ms']['total']:.1f} ms")


def _has_proxy(url: str) -> bool:
    """Return whether the environment leads requests for `url` to a proxy, which would not reach this machine."""
    parts, proxies = urlsplit(url), urllib.request.getproxies_environment()
    return bool({parts.scheme, "all"} & proxies.keys()) and not urllib.request.proxy_bypass(parts.netloc)


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
