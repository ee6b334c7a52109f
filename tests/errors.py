"""Errors of the worker's functions: tests assert the code; tests/local/test_messages.py pins the wording."""

from collections.abc import Callable

import pytest

from worker.contract.errors import ErrorCode, ServiceError


def error_of(function: Callable[..., object], *arguments: object, **keywords: object) -> ServiceError:
    """Return the ServiceError that the call raises."""
    with pytest.raises(ServiceError) as caught:
        function(*arguments, **keywords)
    return caught.value


def code_of(function: Callable[..., object], *arguments: object, **keywords: object) -> ErrorCode:
    """Return the code of the ServiceError that the call raises."""
    return error_of(function, *arguments, **keywords).code
