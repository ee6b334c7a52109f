"""A server reached over SSH: run scripts on it, send data to it, and log what it answers."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from scripts.base.errors import CommandError

SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15")
SSH_FAILED = 255  # the status of ssh itself, not of the command that it ran


@dataclass(frozen=True)
class Remote:
    """One server: its name for ssh, and the log file of what its scripts reported."""

    host: str
    log: Path

    def command(self, script: str) -> list[str]:
        """Return the ssh command that runs `script`; WANWU_SSH replaces "ssh", for example by "ssh -F FILE"."""
        return [*shlex.split(os.environ.get("WANWU_SSH", "ssh")), *SSH_OPTIONS, self.host, script]

    def run(self, script: str, stdin: bytes = b"") -> str:
        """Run `script` on the server with the input `stdin` and return its output; raise CommandError if it fails."""
        result = subprocess.run(self.command(script), input=stdin, capture_output=True)
        self._check(result.returncode, result.stderr)
        return result.stdout.decode()

    def send(self, script: str, write: Callable[[IO[bytes]], None]) -> None:
        """Run `script` on the server and let `write` fill its input; raise CommandError if it fails."""
        with tempfile.TemporaryFile() as errors:
            command = self.command(script)
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors) as ssh:
                _feed(ssh, write)
            errors.seek(0)
            self._check(ssh.returncode, errors.read())

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


def _feed(ssh: subprocess.Popen[bytes], write: Callable[[IO[bytes]], None]) -> None:
    with suppress(BrokenPipeError):  # the exit status tells of a script that ended early
        if ssh.stdin:
            with ssh.stdin as pipe:
                write(pipe)
