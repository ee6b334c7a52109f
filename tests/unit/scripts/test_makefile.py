"""The Makefile says what there is, and every target runs a command that there is."""

import re

from scripts.__main__ import COMMANDS
from scripts.cluster.config import ROOT

TEXT = (ROOT / "Makefile").read_text()
PHONY = re.findall(r"^\.PHONY: (.+)$", TEXT, re.MULTILINE)[0].split()
TARGETS = [target for target in PHONY if target != "help"]


def test_every_target_is_phony_and_none_is_a_file() -> None:
    assert sorted(re.findall(r"^([a-z0-9-]+):(?!=)", TEXT, re.MULTILINE)) == sorted(PHONY)


def test_every_command_has_a_target() -> None:
    assert COMMANDS.keys() <= set(TARGETS)
