"""A server reached over SSH: run scripts on it, copy files to it, and log what it answers."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.base.errors import CommandError

SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15")
SSH_FAILED = 255  # the status of ssh itself, not of the command that it ran
SFTP_SPECIAL = re.compile(r"([^\w/.,:@%+=-])")


@dataclass(frozen=True)
class Remote:
    """One server: its name for ssh, and the log file of what its scripts reported."""

    host: str
    log: Path

    def command(self, script: str) -> list[str]:
        """Return the ssh command that runs `script`; WANWU_SSH replaces "ssh", for example by "ssh -F FILE"."""
        return [*_ssh(), *SSH_OPTIONS, self.host, script]

    def run(self, script: str, stdin: bytes = b"") -> str:
        """Run `script` on the server with the input `stdin` and return its output; raise CommandError if it fails."""
        result = subprocess.run(self.command(script), input=stdin, capture_output=True)
        self._check(result.returncode, result.stderr)
        return result.stdout.decode()

    def put(self, files: Mapping[Path, str], resumed: frozenset[str] = frozenset()) -> None:
        """Copy each file to its path on the server, whose folder must exist; raise CommandError if that fails.

        Of the paths in `resumed` the server has the beginning; sftp sends the rest.
        """
        lines = [
            f"put {'-a ' if target in resumed else ''}{quote_sftp(str(source))} {quote_sftp(target)}\n"
            for source, target in files.items()
        ]
        program, *options = _ssh()
        host, at, address = self.host.rpartition("@")
        name = f"{host}{at}[{address}]" if ":" in address else self.host  # IPv6
        command = ["sftp", "-S", program, *options, *SSH_OPTIONS, "-b", "-", name]
        result = subprocess.run(command, input="".join(lines).encode(), capture_output=True)
        self._check(result.returncode, result.stderr)

    def append_log(self, text: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(text)

    def command_error(self, status: int, output: str) -> CommandError:
        reason = (output.strip().splitlines() or ["it printed nothing"])[-1].removeprefix("!! ")
        if status == SSH_FAILED:
            return CommandError(
                f"{self.host}: cannot connect ({reason}): needed a server that accepts this account's SSH key"
            )
        return CommandError(f"{self.host}: {reason}; the full output is in {self.log}")

    def _check(self, status: int, errors: bytes) -> None:
        self.append_log(errors)
        if status:
            raise self.command_error(status, errors.decode(errors="replace"))


def _ssh() -> list[str]:
    return shlex.split(os.environ.get("WANWU_SSH", "ssh"))


def quote_sftp(path: str) -> str:
    """Return the path as a word of an sftp batch file, which knows quotes, backslashes and patterns."""
    return SFTP_SPECIAL.sub(r"\\\1", path)
