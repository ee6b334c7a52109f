"""A gateway for the tests of this folder that disturb nothing, and one of its own for each of the others."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.gateway.traffic import POOLS
from tests.local.gateway_harness import Gateway


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for the tests that disturb nothing."""
    with Gateway(tmp_path_factory.mktemp("gateway"), POOLS) as gateway:
        for name, text in {"index.html": "<p>page", "app.js": "1", "style.css": "p {}"}.items():
            (gateway.home / "web" / name).write_text(text)
        yield gateway.start()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Gateway]:
    """One of its own for a test that disturbs: two workers, one model."""
    with Gateway(tmp_path, {"photos": ["photos-0", "photos-1"]}) as gateway:
        yield gateway.start()
