"""Run pip with a line of progress for each package."""

import os
import subprocess
from pathlib import Path

from scripts.base.console import say

PACKAGE_LINES = ("Collecting ", "Processing ")  # from an index, from a folder
REASON_LINES = ("ERROR", "The user requested", "The conflict is caused by")


def run_pip(python: Path, arguments: list[str], total: int) -> tuple[bool, list[str]]:
    """Run `pip ARGUMENTS`, showing progress out of `total` packages; return whether it succeeded, and its output."""
    environ = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
    command = [str(python), "-m", "pip", *arguments]
    output: list[str] = []
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ) as pip:
        for line in pip.stdout or ():
            output.append(line.rstrip())
            if line.startswith(PACKAGE_LINES):
                count += 1
                say(f"   {count}/{total} {Path(line.split(maxsplit=1)[1].partition(' (from ')[0].rstrip()).name}")
            elif line.startswith("Installing "):
                say(f"   installing {total} packages")
    return pip.returncode == 0, output


def failure_lines(output: list[str]) -> list[str]:
    """Return the lines of pip's `output` that say why it failed; its last five if none does."""
    return [line for line in output if line.strip().startswith(REASON_LINES)] or output[-5:]
