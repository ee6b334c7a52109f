"""Fixtures of the unit tests that these tests share."""

from tests.unit.scripts.models.test_model_store import models as models
