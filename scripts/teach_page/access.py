"""Who may use the Teach page: a page of this very service, with the key that `make teach-page` printed.

Nginx has admitted this machine alone (routes.conf). That is not enough: a web page of somebody else runs in a browser
on this machine, too, its host name may be made to lead here (DNS rebinding), another account may be logged in, and a
proxy on this machine passes on what comes from elsewhere.
"""

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from scripts.teach_page import KEY_HEADER
from scripts.teach_page.errors import Code, Refused

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
OWN_PAGES = {"same-origin", "none"}  # Sec-Fetch-Site; "none": an address that the user typed or opened


def require(headers: Mapping[str, str], key: str, shows_report: bool = False) -> None:
    """Raise Refused unless a request with these `headers` may be answered; a report's address holds a key itself."""
    host = headers.get("Host", "")
    if _hostname(f"//{host}") not in LOCAL_HOSTS:
        raise Refused(Code.OTHER_HOST, f"found the host {host!r}, needed one of {', '.join(sorted(LOCAL_HOSTS))}")
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "none")
    is_foreign = origin is not None and origin not in (f"http://{host}", f"https://{host}")
    if is_foreign or site not in OWN_PAGES:
        raise Refused(
            Code.OTHER_ORIGIN, f"found a request by another page ({origin or site}), needed one by this service's own"
        )
    if not shows_report and not secrets.compare_digest(headers.get(KEY_HEADER, "").encode(), key.encode()):
        raise Refused(
            Code.WRONG_KEY, f"found no valid {KEY_HEADER}, needed the key in the address that `make teach-page` printed"
        )


def _hostname(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
