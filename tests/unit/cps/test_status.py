"""What status words say beyond success and failure."""

import pytest

from cps.status import SW, bytes_available, right_ne, tries_left


@pytest.mark.parametrize(
    ("sw", "tries"),
    [
        pytest.param(0x63C3, 3, id="three"),
        pytest.param(0x63CF, 15, id="fifteen"),
        pytest.param(0x63C0, 0, id="none"),
        pytest.param(0x6983, 0, id="blocked"),
        pytest.param(0x9000, None, id="success"),
        pytest.param(0x6300, None, id="a warning without count"),
        pytest.param(0x63D3, None, id="not a counter"),
        pytest.param(0x6982, None, id="no PIN was sent"),
        pytest.param(0x6984, None, id="not usable"),
    ],
)
def test_tries_left(sw: int, tries: int | None) -> None:
    assert tries_left(sw) == tries


@pytest.mark.parametrize(
    ("sw", "available", "wanted"),
    [
        pytest.param(0x6118, 0x18, None, id="24 bytes to fetch"),
        pytest.param(0x6100, 256, None, id="256 bytes to fetch"),
        pytest.param(0x6C0C, None, 12, id="Ne 12 wanted"),
        pytest.param(0x6C00, None, 256, id="Ne 256 wanted"),
        pytest.param(0x9000, None, None, id="success"),
        pytest.param(0x6200, None, None, id="a warning"),
    ],
)
def test_lengths_that_the_card_offers_or_wants(
    sw: int, available: int | None, wanted: int | None
) -> None:
    assert (bytes_available(sw), right_ne(sw)) == (available, wanted)


def test_every_named_status_word_is_one() -> None:
    assert {sw >> 12 for sw in SW} <= {6, 9}
