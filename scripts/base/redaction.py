"""Take secrets out of texts that leave the machine."""

import re
from collections.abc import Iterable

REMOVED = "[removed]"
SHORTEST = 8  # what is shorter stands in innocent words, too
PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REMOVED),
    (re.compile(r"\bwanwu_[0-9a-f]{16}_[A-Za-z0-9_-]+"), REMOVED),  # a key of this kit's
    (re.compile(r"(://)[^/\s@\"']+@"), rf"\1{REMOVED}@"),  # the user and password of a mirror or proxy
    (re.compile(r"(?i)(\b(?:authorization|x-api-key)[\"']?\s*[:=]\s*[\"']?)[^\"'\r\n]+"), rf"\1{REMOVED}"),
    (re.compile(r"(?i)(\b\w*(?:password|passwd|secret|token)\w*[\"']?\s*[:=]\s*)\S+"), rf"\1{REMOVED}"),
    (re.compile(r"\bSWMTKN-[A-Za-z0-9-]+"), REMOVED),  # joins a swarm
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without `secrets`, and without what looks like one."""
    for secret in sorted((one for one in secrets if len(one) >= SHORTEST), key=len, reverse=True):
        text = text.replace(secret, REMOVED)
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return text
