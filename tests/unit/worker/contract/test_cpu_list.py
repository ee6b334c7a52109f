"""CPU lists as the kernel writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.contract.cpu_list import MAX_CPUS, format_cpu_list, parse_cpu_list


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("0", (0,)),
        ("0-2,8\n", (0, 1, 2, 8)),
        (" 3 , 1 ", (1, 3)),
        ("2-2", (2,)),
        ("1,1-2", (1, 2)),
        (f"{MAX_CPUS - 1}", (MAX_CPUS - 1,)),
    ],
)
def test_a_list_is_read_in_ascending_order(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus


@pytest.mark.parametrize(
    "text", ["", "a", "-1", "1-", "0,", "1,,2", "0 1", "0-1-2", "0x1", "5-3", f"{MAX_CPUS}", "0-99999", "\u0663"]
)
def test_an_invalid_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r'^not a CPU list such as "0-3,8": '):
        parse_cpu_list(text)


@given(st.sets(st.integers(0, MAX_CPUS - 1), min_size=1, max_size=40))
def test_a_formatted_list_parses_back(numbers: set[int]) -> None:
    assert parse_cpu_list(format_cpu_list(numbers)) == tuple(sorted(numbers))
