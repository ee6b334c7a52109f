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

    def ask(self, script: str, given: bytes = b"") -> str:
        """Run `script` on the server with the input `given` and return its output; raise CommandError if it fails."""
        done = subprocess.run(self.command(script), input=given, capture_output=True)
        self._judge(done.returncode, done.stderr)
        return done.stdout.decode()

    def send(self, script: str, write: Callable[[IO[bytes]], None]) -> None:
        """Run `script` on the server and let `write` fill its input; raise CommandError if it fails."""
        with tempfile.TemporaryFile() as said:
            command = self.command(script)
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said) as ssh:
                _feed(ssh, write)
            said.seek(0)
            self._judge(ssh.returncode, said.read())

    def note(self, text: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(text)

    def refusal(self, status: int, said: str) -> CommandError:
        why = (said.strip().splitlines() or ["it said nothing"])[-1].removeprefix("!! ")
        if status == SSH_FAILED:
            return CommandError(
                f"{self.host}: not reached ({why}): needed one that lets this account in by its SSH key"
            )
        return CommandError(f"{self.host}: {why}; all it said is in {self.log}")

    def _judge(self, status: int, said: bytes) -> None:
        self.note(said)
        if status:
            raise self.refusal(status, said.decode(errors="replace"))


def _feed(ssh: subprocess.Popen[bytes], write: Callable[[IO[bytes]], None]) -> None:
    with suppress(BrokenPipeError):  # the exit status tells of a script that ended early
        if ssh.stdin:
            with ssh.stdin as pipe:
                write(pipe)
