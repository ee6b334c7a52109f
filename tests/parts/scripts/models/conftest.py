"""Fixtures of the unit tests that these tests share."""

from tests.unit.scripts.models.conftest import models as models
