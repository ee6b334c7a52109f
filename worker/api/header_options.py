"""Parse headers with options, such as Content-Type and Content-Disposition."""

import re

from werkzeug.http import parse_options_header

# As browsers and HTTP libraries write it: tokens, or quoted strings without escapes.
USUAL = re.compile(r' ?([A-Za-z/-]+)((?:; ?[a-z]+=(?:"[^"\\%]*"|[A-Za-z0-9_.-]+))*)')
OPTION = re.compile(r'([a-z]+)=(?:"([^"]*)"|([^;]*))')


def parse_options(header: str) -> tuple[str, dict[str, str]]:
    """Return the value and the options of `header` as parse_options_header does, in a fifth of its time if it is USUAL.

    Werkzeug also reads what few clients write: escapes, continuations and charsets (RFC 2231), invalid parts.
    """
    if usual := USUAL.fullmatch(header):
        return usual[1], {name: quoted or token for name, quoted, token in OPTION.findall(usual[2])}
    return parse_options_header(header)
