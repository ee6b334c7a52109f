"""The one way in which a command of `scripts` says no."""


class CommandError(Exception):
    """What was found, what is needed and what to do, in one or several lines for the user.

    The command line prints `str(refusal)` to standard error and exits with status 1.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
