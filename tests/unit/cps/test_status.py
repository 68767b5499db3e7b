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
        pytest.param(0x6119, 0x19, None, id="25 bytes to fetch"),
        pytest.param(0x6100, 256, None, id="256 bytes to fetch"),
        pytest.param(0x6C0D, None, 13, id="Ne 13 wanted"),
        pytest.param(0x6C00, None, 256, id="Ne 256 wanted"),
        pytest.param(0x9000, None, None, id="success"),
        pytest.param(0x6200, None, None, id="a warning"),
    ],
)
def test_lengths_that_the_card_offers_or_wants(
    sw: int, available: int | None, wanted: int | None
) -> None:
    assert (bytes_available(sw), right_ne(sw)) == (available, wanted)


# Client and simulator share these names: a wrong value would agree with itself.
@pytest.mark.parametrize(
    ("sw", "value"),
    [
        pytest.param(SW.SUCCESS, 0x9000, id="success"),
        pytest.param(SW.END_OF_FILE, 0x6282, id="end of file"),
        pytest.param(SW.MEMORY_FAILURE, 0x6581, id="memory failure"),
        pytest.param(SW.WRONG_LENGTH, 0x6700, id="wrong length"),
        pytest.param(SW.CHANNEL_NOT_SUPPORTED, 0x6881, id="channel not supported"),
        pytest.param(SW.CHAINING_NOT_SUPPORTED, 0x6884, id="chaining not supported"),
        pytest.param(SW.SECURITY_STATUS_NOT_SATISFIED, 0x6982, id="security status"),
        pytest.param(SW.AUTHENTICATION_METHOD_BLOCKED, 0x6983, id="blocked"),
        pytest.param(SW.REFERENCE_DATA_NOT_USABLE, 0x6984, id="not usable"),
        pytest.param(SW.CONDITIONS_NOT_SATISFIED, 0x6985, id="conditions"),
        pytest.param(SW.NO_CURRENT_EF, 0x6986, id="no current EF"),
        pytest.param(SW.WRONG_DATA, 0x6A80, id="wrong data"),
        pytest.param(SW.FILE_NOT_FOUND, 0x6A82, id="file not found"),
        pytest.param(SW.NOT_ENOUGH_MEMORY, 0x6A84, id="no room"),
        pytest.param(SW.INCORRECT_P1_P2, 0x6A86, id="incorrect P1-P2"),
        pytest.param(SW.REFERENCED_DATA_NOT_FOUND, 0x6A88, id="data not found"),
        pytest.param(SW.WRONG_P1_P2, 0x6B00, id="wrong P1-P2"),
        pytest.param(SW.INS_NOT_SUPPORTED, 0x6D00, id="instruction unknown"),
        pytest.param(SW.CLA_NOT_SUPPORTED, 0x6E00, id="class unknown"),
        pytest.param(SW.NO_PRECISE_DIAGNOSIS, 0x6F00, id="no diagnosis"),
    ],
)
def test_names_have_the_values_of_the_standard(sw: SW, value: int) -> None:
    assert sw == value
