"""Entry point `python3 -m scripts COMMAND`, which the Makefile's targets call: parse, dispatch to scripts/commands."""

import argparse
import errno
import sys
from collections.abc import Sequence

from scripts import commands
from scripts.base.console import warn
from scripts.base.errors import CommandError
from scripts.base.options import add_flags, read_flags
from scripts.commands import ServiceOptions

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


def parser(only: str = "") -> argparse.ArgumentParser:
    """Return the command-line parser; with `only`, import that command alone and add the others by name only.

    Abbreviated flags are refused, so that a new flag never changes the meaning of an old command line.
    """
    main_parser = argparse.ArgumentParser(prog="python3 -m scripts", allow_abbrev=False)
    subparsers = main_parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in commands.names():
        if only in ("", name):
            command = commands.load(name)
            subparser = subparsers.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
            add_flags(subparser, ServiceOptions)
            add_flags(subparser, command.options)
        else:
            subparsers.add_parser(name)
    return main_parser


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status: 0, 1 if it fails, 130 when interrupted."""
    first = arguments[0] if arguments else ""
    parsed = parser(first if first in commands.names() else "").parse_args(arguments)
    command = commands.load(parsed.command)
    try:
        service = read_flags(ServiceOptions, parsed)
        options = read_flags(command.options, parsed)
        if command.exclusive:
            with service.change(parsed.command):
                command.run(service, options)
        else:
            command.run(service, options)
    except CommandError as error:
        for line in error.lines:
            warn(line)
        return 1
    except OSError as error:
        refused = isinstance(error, PermissionError) and error.filename
        if error.errno not in NO_ROOM and not refused:
            raise
        warn(f"{error.filename or 'a file'}: {error.strerror}: needed free space, and permission to read and write")
        return 1
    except KeyboardInterrupt:
        warn("interrupted")
        return 130
    return 0


if __name__ == "__main__":
    # A terminal whose encoding lacks a label's characters shows their escapes, as standard error does.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))
