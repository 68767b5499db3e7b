"""The trace: everything public is in it, and no PIN, whatever command carries it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps.errors import CardRemovedError
from cps.transport.replay import ReplayConnection
from cps.transport.trace import MASKED_INS, TracedConnection, masked

PIN = b"4071"
IN_EVERY_WRITING = ("4071", "34303731", "34 30 37 31")


def test_what_passes_is_written_as_a_dialogue() -> None:
    lines: list[str] = []
    card = TracedConnection(
        ReplayConnection("""
            begin
            > 00 B0 00 00 02
            < 5A 00 90 00
            end reset
        """),
        lines.append,
    )
    with card.transaction(reset=True):
        assert card.transmit(bytes.fromhex("00B0000002")) == bytes.fromhex("5A009000")
    card.close()
    assert lines == ["begin", "> 00 B0 00 00 02", "< 5A 00 90 00", "end reset"]
    ReplayConnection("\n".join(lines))


def test_a_fault_is_written_and_passes() -> None:
    lines: list[str] = []
    card = TracedConnection(ReplayConnection("> 00 B0 00 00 02\n! removed"), lines.append)
    with pytest.raises(CardRemovedError):
        card.transmit(bytes.fromhex("00B0000002"))
    assert lines == ["> 00 B0 00 00 02", "! CardRemovedError"]


def test_a_transaction_that_an_error_ends_is_written_to_its_end() -> None:
    lines: list[str] = []
    card = TracedConnection(ReplayConnection("begin\nend leave"), lines.append)
    with pytest.raises(KeyError), card.transaction(reset=False):
        raise KeyError
    assert lines == ["begin", "end leave"]


def test_the_card_is_the_one_behind() -> None:
    inner = ReplayConnection("", atr=b"\x3b\x00", t0=False)
    card = TracedConnection(inner, lambda _line: None)
    assert (card.atr, card.t0) == (b"\x3b\x00", False)


@pytest.mark.parametrize(
    "ins",
    [
        pytest.param(0x20, id="VERIFY"),
        pytest.param(0x21, id="VERIFY, odd"),
        pytest.param(0x24, id="CHANGE REFERENCE DATA"),
        pytest.param(0x25, id="CHANGE REFERENCE DATA, odd"),
        pytest.param(0x2C, id="RESET RETRY COUNTER"),
        pytest.param(0x2D, id="RESET RETRY COUNTER, odd"),
    ],
)
@pytest.mark.parametrize("cla", [0x00, 0x01, 0x10, 0xA0])
def test_no_pin_is_in_the_trace(cla: int, ins: int) -> None:
    command = bytes((cla, ins, 0x00, 0x01, 0x08)) + PIN + b"\xff" * 4
    lines: list[str] = []
    inner = ReplayConnection(f"> {command.hex()}\n< 63 C2")
    TracedConnection(inner, lines.append).transmit(command)
    text = "\n".join(lines)
    assert not [writing for writing in IN_EVERY_WRITING if writing in text]
    assert lines == [f"> {cla:02X} {ins:02X} 00 01{' **' * 9}", "< 63 C2"]


@given(st.sampled_from(sorted(MASKED_INS)), st.binary(max_size=20))
def test_a_malformed_command_shows_no_more_than_its_header(ins: int, rest: bytes) -> None:
    command = bytes((0x00, ins, 0x00, 0x01)) + rest
    assert masked(command) == f"00 {ins:02X} 00 01" + " **" * len(rest)


@given(st.integers(0, 255).filter(lambda ins: ins not in MASKED_INS), st.binary(max_size=20))
def test_nothing_else_is_hidden(ins: int, rest: bytes) -> None:
    command = bytes((0x00, ins)) + rest
    assert bytes.fromhex(masked(command)) == command


@pytest.mark.parametrize("command", [b"", b"\x00", b"\x00\x20", b"\x00\x20\x00"])
def test_a_truncated_command_is_shown_as_it_is(command: bytes) -> None:
    assert bytes.fromhex(masked(command)) == command
