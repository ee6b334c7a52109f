"""Errors of the worker's functions: tests assert the code; tests/local/test_messages.py pins the wording."""

from collections.abc import Callable

import pytest

from worker.contract.errors import ErrorCode, ServiceError


def error_of(function: Callable[..., object], *arguments: object, **named: object) -> ServiceError:
    """Return the ServiceError that the call raises."""
    with pytest.raises(ServiceError) as caught:
        function(*arguments, **named)
    return caught.value


def code_of(function: Callable[..., object], *arguments: object, **named: object) -> ErrorCode:
    """Return the code of the ServiceError that the call raises."""
    return error_of(function, *arguments, **named).code
