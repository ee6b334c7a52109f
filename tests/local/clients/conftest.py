"""The service that most clients are tried with."""

from collections.abc import Iterator

import pytest

from tests.local.clients.service import serving
from tests.local.gateway_harness import Gateway


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("clients"), workers=2) as found:
        yield found
