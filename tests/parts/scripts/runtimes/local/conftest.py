"""Fixtures of the unit tests that these tests share."""

from tests.unit.scripts.runtimes.local.test_supervisor import run as run
