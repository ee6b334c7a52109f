"""Take secrets out of texts that leave the machine: what is lost beside one is cheaper than a secret that stays."""

import re
from collections.abc import Iterable

REMOVED = "[removed]"
SHORTEST = 8  # what is shorter stands in innocent words, too
WORDS = (
    "password|passwd|passphrase|secret|token(?!i[sz])|credential|api[_-]?key|access[_-]?key|private[_-]?key|"
    "密码|密钥|口令|令牌"
)
WORD = rf"(?>[\w.%-]*?(?:{WORDS}))[\w.%-]*+"  # holding one: never tried again, so that a long text takes no time
NAME = rf"(?<![\w.%-]){WORD}"
SET = r"(?P<quote>\\*[\"'])?[ \t]*[:=：][ \t]*"
QUOTED = (
    r'"""[\s\S]*?"""'
    r"|'''[\s\S]*?'''"
    r'|\\"(?:(?!\\").)*\\"'  # in a text that is one of JSON's itself
    r'|"(?:[^"\\\r\n]|\\.)*"'
    r"|'[^'\r\n]*'"
)
LISTED = r"\[[^\]]*\]|\{[^{}]*\}"
CUT = r"[\"'][^\r\n]*"
BARE = r"(?(quote)[^\s\"',}\]]+|(?:\\.|[^\s\"'\\])+)"  # after a name in quotes it is JSON's: a number
PLAIN = r"(?!true\b|false\b|null\b|\[removed\])"
PATTERNS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    r"(?<![\w+/=]\n)(?:^[\w+/=]++\r?\n)++-----END [A-Z ]*PRIVATE KEY-----",  # of a log whose beginning was left out
    r"\bwanwu_[0-9a-f]{16}_[A-Za-z0-9_-]+",  # a key of this kit's
    r"\bSWM(?:TKN|KEY)-[A-Za-z0-9-]+",  # joins or unlocks a swarm
    r"(?P<name>://)[^/\s\"'?#]+(?=@)",  # the user and password of a mirror or proxy
    rf"(?P<name>[?&]{WORD}=)[^&#\s\"'\\]+",
    rf"(?P<name>\b(?:authorization|x-api-key|cookie){SET})(?:{QUOTED}|Digest\b[^\r\n]*|[^\"'\\\r\n]+)",
    r"(?P<name>\bBearer\s+)[\w.~+/=-]{8,}",
    rf"(?P<name>(?<![\w-])--{WORD}[ \t]+)(?!-)(?:{QUOTED}|\S+)",
    rf"(?P<name>^[ \t#>-]*+{NAME}[ \t]*(?:[:：][ \t]+|[ \t]=[ \t]+)){PLAIN}(?![\"'\\\[{{])[^\r\n]+",
    rf"(?P<name>{NAME}{SET}){PLAIN}(?:{QUOTED}|{LISTED}|{CUT}|{BARE})",
)
COMPILED = [re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in PATTERNS]


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without `secrets`, and without what looks like one; JSON and TOML stay what they are."""
    for secret in sorted((one for one in secrets if len(one) >= SHORTEST), key=len, reverse=True):
        text = text.replace(secret, REMOVED)
    for pattern in COMPILED:
        text = pattern.sub(_removed, text)
    return text


def _removed(match: re.Match[str]) -> str:
    """Return what stands in the place of a value: in its quotes, or in those of the name before it."""
    parts = match.groupdict()
    name = parts.get("name") or ""
    value = match[0][len(name) :]
    quote = re.match(r"\\?[\"']", value)
    around = quote[0] if quote else parts.get("quote") or ""
    return f"{name}{around}{REMOVED}{around}"
