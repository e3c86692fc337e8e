"""The notation of rates, in all the forms that settings may have."""

import pytest

from shared.rates import Rate, rates


@pytest.mark.parametrize(
    ("notation", "expected"),
    [
        ("20/minute", [Rate(20, 60)]),
        ("20/minute;100/hour", [Rate(20, 60), Rate(100, 3600)]),
        ("3/15minute, 10/day", [Rate(3, 900), Rate(10, 86_400)]),
        (" 10 per 2 Hours | 1 per second ", [Rate(10, 7200), Rate(1, 1)]),
        ("1/month;2/years", [Rate(1, 2_592_000), Rate(2, 31_104_000)]),
    ],
)
def test_a_notation_is_read(notation: str, expected: list[Rate]) -> None:
    assert rates(notation) == expected


@pytest.mark.parametrize("notation", ["", "20", "minute", "20/fortnight", "20/minute;", "-1/day"])
def test_what_is_no_rate_is_refused(notation: str) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        rates(notation)
