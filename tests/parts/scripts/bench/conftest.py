"""Fixtures of the unit tests that these tests share."""

from tests.unit.scripts.bench.test_servers import fixtures as fixtures
