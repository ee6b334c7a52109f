"""Fixtures of the unit tests that these tests share."""

from tests.unit.scripts.host.test_packages import elsewhere as elsewhere
from tests.unit.scripts.host.test_wheelhouse import source as source
