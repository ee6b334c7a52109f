"""Fixtures of the unit tests that these tests share."""

from tests.unit.scripts.models.tools.prepare.test_benchmark import images as images
