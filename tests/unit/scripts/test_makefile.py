"""The Makefile lists every target, and every target runs an existing command."""

import re

from scripts import commands
from scripts.cluster.config import ROOT

TEXT = (ROOT / "Makefile").read_text()
PHONY = re.findall(r"^\.PHONY: (.+)$", TEXT, re.MULTILINE)[0].split()
TARGETS = [target for target in PHONY if target != "help"]


def test_every_target_is_phony_and_none_is_a_file() -> None:
    assert sorted(re.findall(r"^([a-z0-9-]+):(?!=)", TEXT, re.MULTILINE)) == sorted(PHONY)


def test_every_target_has_a_command_or_a_script_and_every_command_a_target() -> None:
    scripts = {path.stem for path in (ROOT / "scripts").glob("*.sh")}
    assert set(commands.names()) <= set(TARGETS)
    assert set(TARGETS) - set(commands.names()) <= scripts
