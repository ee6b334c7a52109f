"""Fixtures of the unit tests that these tests share."""

from tests.unit.scripts.host.test_packages import empty_path as empty_path
from tests.unit.scripts.host.test_wheelhouse import source as source
