"""Fixtures of the unit tests that these tests share."""

from tests.unit.worker.engines.test_engines import model_folders as model_folders
