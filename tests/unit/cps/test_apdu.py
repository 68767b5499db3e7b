"""Command and response APDUs: every case both ways, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps.apdu import CommandAPDU, ResponseAPDU

_BYTE = st.integers(0, 0xFF)
_COMMANDS = st.builds(
    CommandAPDU,
    cla=_BYTE,
    ins=_BYTE,
    p1=_BYTE,
    p2=_BYTE,
    data=st.binary(max_size=255),
    ne=st.none() | st.integers(1, 256),
)

CASES = [
    pytest.param("00A40000", 1, b"", None, id="case 1"),
    pytest.param("00B000000C", 2, b"", 12, id="case 2"),
    pytest.param("00B0000000", 2, b"", 256, id="case 2 with Le 00"),
    pytest.param("00A40000023F00", 3, b"\x3f\x00", None, id="case 3"),
    pytest.param("00A40000023F0000", 4, b"\x3f\x00", 256, id="case 4"),
]


@pytest.mark.parametrize(("raw", "case", "data", "ne"), CASES)
def test_each_case_has_one_encoding(raw: str, case: int, data: bytes, ne: int | None) -> None:
    command = CommandAPDU.decode(bytes.fromhex(raw))
    assert (command.case, command.data, command.ne) == (case, data, ne)
    assert command.encode().hex().upper() == raw


@given(_COMMANDS)
def test_a_command_is_read_as_it_was_written(command: CommandAPDU) -> None:
    assert CommandAPDU.decode(command.encode()) == command


@given(_COMMANDS, st.data())
def test_a_truncated_command_is_another_command_or_refused(
    command: CommandAPDU, data: st.DataObject
) -> None:
    raw = command.encode()
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    try:
        other = CommandAPDU.decode(cut)
    except ValueError:
        return
    assert other.encode() == cut


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="nothing"),
        pytest.param("00A400", id="three bytes"),
        pytest.param("00A40000 00 00", id="Lc of zero"),
        pytest.param("00A40000 000002 3F00", id="extended length"),
        pytest.param("00A40000 03 3F00", id="Lc beyond the end"),
        pytest.param("00A40000 01 3F0000", id="bytes behind Le"),
    ],
)
def test_a_command_of_another_form_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        CommandAPDU.decode(bytes.fromhex(raw))


@pytest.mark.parametrize(
    ("header", "data", "ne"),
    [
        pytest.param((256, 0, 0, 0), b"", None, id="class of two bytes"),
        pytest.param((0, -1, 0, 0), b"", None, id="negative instruction"),
        pytest.param((0, 0, 0, 256), b"", None, id="P2 of two bytes"),
        pytest.param((0, 0, 0, 0), bytes(256), None, id="256 bytes of data"),
        pytest.param((0, 0, 0, 0), b"", 0, id="an answer of no bytes"),
        pytest.param((0, 0, 0, 0), b"", 257, id="an answer of 257 bytes"),
    ],
)
def test_what_has_no_short_form_cannot_be_made(
    header: tuple[int, int, int, int], data: bytes, ne: int | None
) -> None:
    cla, ins, p1, p2 = header
    with pytest.raises(ValueError, match=r"byte|short form"):
        CommandAPDU(cla=cla, ins=ins, p1=p1, p2=p2, data=data, ne=ne)


def test_a_command_does_not_show_its_data() -> None:
    command = CommandAPDU(cla=0, ins=0x20, p1=0, p2=1, data=b"1234")
    assert repr(command) == "CommandAPDU(cla=0, ins=32, p1=0, p2=1, ne=None)"


@given(st.binary(max_size=256), st.sampled_from([0x9000, 0x6A82, 0x61FF, 0x63C0]))
def test_an_answer_is_read_as_it_was_written(data: bytes, sw: int) -> None:
    answer = ResponseAPDU(data=data, sw=sw)
    assert ResponseAPDU.decode(answer.encode()) == answer


@pytest.mark.parametrize("length", [0, 256])
def test_an_answer_holds_up_to_256_bytes(length: int) -> None:
    raw = bytes(length) + b"\x90\x00"
    assert ResponseAPDU.decode(raw) == ResponseAPDU(data=bytes(length), sw=0x9000)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x90", id="half a status word"),
        pytest.param(bytes(257) + b"\x90\x00", id="257 bytes of data"),
        pytest.param(b"\x60\x00", id="procedure byte"),
        pytest.param(b"\x12\x34", id="no status word"),
    ],
)
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"bytes|status word"):
        ResponseAPDU.decode(raw)
