"""The exception that ends a command of `scripts`."""


class CommandError(Exception):
    """Report a fault to the user, one fault a line: what was found, what was needed, and the remedy.

    `scripts/__main__.py` prints each of `lines` to standard error and exits with status 1.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
