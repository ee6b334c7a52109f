"""The control side: plan, render, start, show. Python's standard library only."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the system's Python may be any
    raise SystemExit("!! found Python " + sys.version.split()[0] + ", needed 3.11 or newer: give one with PYTHON=")
