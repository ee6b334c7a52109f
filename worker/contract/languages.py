"""Language codes of labels and descriptions: any code in the form of a BCP 47 tag (RFC 5646)."""

import re

BOTH = "both"  # the value of a request's `labels` for Chinese and English
# Not anchored, since JSON schemas embed it.
PATTERN = "[A-Za-z0-9]{2,8}(-[A-Za-z0-9]{1,8})*"
FORM = "a language code of 2 to 8 letters or digits, such as en, ja or zh-Hant"
SCRIPT_LENGTH, REGION_LENGTH = 4, 2  # lengths of these subtags


def is_language(code: str) -> bool:
    """Return whether `code` has the form of a language code."""
    return re.fullmatch(PATTERN, code) is not None and canonical(code) != BOTH


def fault(code: str) -> str | None:
    """Return the fault of `code` as a key of model.toml, as the end of a sentence; None if it has none."""
    if not is_language(code):
        return f"is not {FORM}"
    return None if code == canonical(code) else f"must be written {canonical(code)}"


def canonical(code: str) -> str:
    """Return `code` in the case of RFC 5646, 2.1.1 (zh-Hant, pt-BR, en), in which equal codes can be compared."""
    first, *others = code.split("-")
    return "-".join([first.lower(), *map(_subtag, others)])


def primary(code: str) -> str:
    """Return the language subtag of `code`, without script and region."""
    return canonical(code).partition("-")[0]


def _subtag(text: str) -> str:
    if len(text) == SCRIPT_LENGTH and text.isalpha():
        return text.title()
    return text.upper() if len(text) == REGION_LENGTH else text.lower()
