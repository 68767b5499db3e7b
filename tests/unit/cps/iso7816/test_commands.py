"""Each command: its bytes, and what becomes of every answer."""

from collections.abc import Callable

import pytest

from cps import tlv
from cps.errors import CardDataError, CardRefusedError
from cps.iso7816 import commands
from cps.iso7816.channel import Channel
from cps.transport.replay import ReplayConnection


def run(script: str, call: Callable[[Channel], bytes | None]) -> bytes | None:
    card = ReplayConnection(script)
    result = call(Channel(card))
    card.close()
    return result


def refused(script: str, call: Callable[[Channel], bytes | None]) -> CardRefusedError:
    card = ReplayConnection(script)
    with pytest.raises(CardRefusedError) as caught:
        call(Channel(card))
    card.close()
    return caught.value


def read_block(offset: int, ne: int, answer: str) -> str:
    return f"> 00 B0 {offset:04X} {ne & 0xFF:02X}\n< {answer}\n"


# SELECT.


@pytest.mark.parametrize("sw", ["90 00", "61 27"], ids=["success", "an FCP on offer"])
def test_select_by_path_wants_no_answer(sw: str) -> None:
    script = f"> 00 A4 09 0C 04 3F 00 D0 03\n< {sw}"
    run(script, lambda channel: commands.select(channel, bytes.fromhex("3F00D003")))


def test_select_by_name_wants_no_answer() -> None:
    script = "> 00 A4 04 0C 08 80 25 00 00 01 FF 01 00\n< 90 00"
    aid = bytes.fromhex("8025000001FF0100")
    run(script, lambda channel: commands.select_application(channel, aid))


@pytest.mark.parametrize("sw", [0x6A82, 0x6A86, 0x6E00, 0x6283])
def test_select_says_what_the_card_refused(sw: int) -> None:
    error = refused(
        f"> 00 A4 09 0C 02 3F 00\n< {sw:04X}",
        lambda channel: commands.select(channel, b"\x3f\x00"),
    )
    assert (error.command, error.sw) == ("SELECT", sw)


# READ BINARY.


def test_a_read_names_offset_and_length() -> None:
    script = read_block(0x0102, 3, "AA BB CC 90 00")
    read = run(script, lambda channel: commands.read_binary(channel, offset=0x0102, ne=3))
    assert read == b"\xaa\xbb\xcc"


def test_the_end_of_the_file_is_no_refusal() -> None:
    script = read_block(0, 256, "AA 62 82")
    assert run(script, lambda channel: commands.read_binary(channel, offset=0, ne=256)) == b"\xaa"


def test_the_last_offset_can_be_read() -> None:
    script = "> 00 B0 7F FF 01\n< AA 90 00"
    assert run(script, lambda channel: commands.read_binary(channel, offset=0x7FFF, ne=1))


def test_reading_behind_the_end_gives_nothing() -> None:
    script = read_block(256, 256, "6B 00")
    assert run(script, lambda channel: commands.read_binary(channel, offset=256, ne=256)) == b""


@pytest.mark.parametrize(
    ("offset", "answer", "sw"),
    [
        pytest.param(0, "6B 00", 0x6B00, id="a file that cannot be read at all"),
        pytest.param(0, "69 82", 0x6982, id="behind a PIN"),
        pytest.param(0, "AA 69 86", 0x6986, id="data with an error"),
        pytest.param(256, "6A 82", 0x6A82, id="no file"),
    ],
)
def test_a_refused_read_gives_no_data(offset: int, answer: str, sw: int) -> None:
    error = refused(
        read_block(offset, 256, answer),
        lambda channel: commands.read_binary(channel, offset=offset, ne=256),
    )
    assert (error.command, error.sw) == ("READ BINARY", sw)


@pytest.mark.parametrize("offset", [-1, 0x8000])
def test_an_offset_of_more_than_15_bits_is_not_sent(offset: int) -> None:
    with pytest.raises(ValueError, match="offset"):
        commands.read_binary(Channel(ReplayConnection("")), offset=offset, ne=1)


# Whole files.


@pytest.mark.parametrize(
    ("script", "length"),
    [
        pytest.param(read_block(0, 256, "AA" * 10 + "90 00"), 10, id="one block"),
        pytest.param(read_block(0, 256, "90 00"), 0, id="empty"),
        pytest.param(
            read_block(0, 256, "AA" * 256 + "90 00") + read_block(256, 256, "AA" * 5 + "62 82"),
            261,
            id="two blocks",
        ),
        pytest.param(
            read_block(0, 256, "AA" * 256 + "90 00") + read_block(256, 256, "6B 00"),
            256,
            id="exactly one block",
        ),
        pytest.param(
            read_block(0, 256, "6C 0A") + read_block(0, 10, "AA" * 10 + "90 00"),
            10,
            id="a card that wants the exact length",
        ),
    ],
)
def test_a_file_is_read_to_its_end(script: str, length: int) -> None:
    content = run(script, lambda channel: commands.read_file(channel, max_bytes=1000))
    assert content == b"\xaa" * length


def test_a_file_without_end_is_given_up() -> None:
    card = ReplayConnection(
        read_block(0, 256, "AA" * 256 + "90 00") + read_block(256, 256, "AA" * 256 + "90 00")
    )
    with pytest.raises(CardDataError, match="more than 300 bytes"):
        commands.read_file(Channel(card), max_bytes=300)
    card.close()


def test_a_file_may_be_as_long_as_allowed() -> None:
    script = read_block(0, 256, "AA" * 256 + "90 00") + read_block(256, 256, "90 00")
    content = run(script, lambda channel: commands.read_file(channel, max_bytes=256))
    assert content == b"\xaa" * 256


# A data object at the start of a file.

OBJECT = tlv.encode(0x30, bytes(600))


def blocks_of(content: bytes, total: int) -> str:
    """Return the reads of an object of *total* bytes in a file that holds *content*."""
    script = read_block(0, 256, content[:256].hex() + "90 00")
    for offset in range(256, total, 256):
        ne = min(256, total - offset)
        script += read_block(offset, ne, content[offset : offset + ne].hex() + "90 00")
    return script


def read_object(channel: Channel) -> bytes:
    return commands.read_data_object(channel, max_bytes=604)


def test_an_object_is_read_by_its_own_length() -> None:
    assert run(blocks_of(OBJECT, len(OBJECT)), read_object) == OBJECT


def test_what_stands_behind_the_object_is_not_read() -> None:
    assert run(blocks_of(OBJECT + bytes(400), len(OBJECT)), read_object) == OBJECT


def test_what_stands_behind_a_small_object_is_left_out() -> None:
    small = tlv.encode(0x30, bytes(10))
    assert run(read_block(0, 256, (small + bytes(90)).hex() + "90 00"), read_object) == small


def test_a_card_with_small_blocks_is_read_all_the_same() -> None:
    script = read_block(0, 256, OBJECT[:231].hex() + "90 00")
    script += read_block(231, 256, OBJECT[231:462].hex() + "90 00")
    script += read_block(462, 142, OBJECT[462:].hex() + "90 00")
    assert run(script, read_object) == OBJECT


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param(
            blocks_of(OBJECT, 512) + read_block(512, 92, "6B 00"),
            "ends 92 bytes before",
            id="truncated",
        ),
        pytest.param(
            read_block(0, 256, "30 82 02 59" + "00" * 252 + "90 00"),
            "605 bytes where 604 are allowed",
            id="too long",
        ),
        pytest.param(
            read_block(0, 256, "30 83 FF FF FF 90 00"), "16777220 bytes where", id="absurd length"
        ),
        pytest.param(read_block(0, 256, "30 84 00 00 00 01 90 00"), "length", id="long length"),
        pytest.param(read_block(0, 256, "30 80 90 00"), "length", id="indefinite length"),
        pytest.param(read_block(0, 256, "30 90 00"), "no length", id="no length"),
        pytest.param(read_block(0, 256, "90 00"), "no tag", id="empty file"),
    ],
)
def test_an_object_that_lies_about_its_length_is_refused(script: str, message: str) -> None:
    card = ReplayConnection(script)
    with pytest.raises(CardDataError, match=message):
        read_object(Channel(card))
    card.close()


def test_a_card_that_gives_byte_after_byte_is_given_up() -> None:
    script = read_block(0, 256, "30 82 02 58 90 00")
    script += "".join(
        read_block(offset, min(256, 604 - offset), "00 90 00")
        for offset in range(4, 3 + commands.MAX_READS)
    )
    card = ReplayConnection(script)
    with pytest.raises(CardDataError, match=f"after {commands.MAX_READS} blocks"):
        read_object(Channel(card))
    card.close()


# A file named by its short identifier.


def test_a_short_identifier_is_read_in_one_command() -> None:
    read = run(
        "> 00 B0 9C 00 0C\n< AA BB 90 00",
        lambda channel: commands.read_short(channel, sfi=0x1C, ne=12),
    )
    assert read == b"\xaa\xbb"


@pytest.mark.parametrize("sw", [0x6A82, 0x6A86, 0x6B00])
def test_a_short_identifier_without_file_is_refused(sw: int) -> None:
    error = refused(
        f"> 00 B0 9C 00 0C\n< {sw:04X}",
        lambda channel: commands.read_short(channel, sfi=0x1C, ne=12),
    )
    assert (error.command, error.sw) == ("READ BINARY", sw)


@pytest.mark.parametrize("sfi", [0, 31, -1])
def test_a_number_that_is_no_short_identifier_is_not_sent(sfi: int) -> None:
    with pytest.raises(ValueError, match="short file identifier"):
        commands.read_short(Channel(ReplayConnection("")), sfi=sfi, ne=1)


# The class byte.


@pytest.mark.parametrize(
    ("script", "call"),
    [
        pytest.param(
            "> 01 A4 08 0C 04 00 01 70 05\n< 90 00",
            lambda channel: commands.select_below_mf(channel, bytes.fromhex("3F0000017005")),
            id="SELECT",
        ),
        pytest.param(
            "> 01 A4 00 0C 02 3F 00\n< 90 00",
            lambda channel: commands.select_below_mf(channel, bytes.fromhex("3F00")),
            id="SELECT the MF",
        ),
        pytest.param(
            "> 01 B0 00 00 01\n< AA 90 00",
            lambda channel: commands.read_binary(channel, offset=0, ne=1),
            id="READ BINARY",
        ),
        pytest.param(
            "> 01 22 41 B8 03 83 01 20\n< 90 00",
            lambda channel: commands.set_deciphering_key(channel, reference=0x20),
            id="MANAGE SECURITY ENVIRONMENT",
        ),
    ],
)
def test_the_class_is_that_of_the_channel(script: str, call: Callable[[Channel], object]) -> None:
    card = ReplayConnection(script)
    call(Channel(card, number=1))
    card.close()


# DECIPHER.


@pytest.mark.parametrize(
    ("length", "script"),
    [
        pytest.param(3, "> 00 2A 80 86 03 {}\n", id="one command"),
        pytest.param(255, "> 00 2A 80 86 FF {}\n", id="a full one"),
    ],
)
def test_a_short_cryptogram_takes_one_command(length: int, script: str) -> None:
    script = script.format("AB" * length) + "< 61 01\n> 00 C0 00 00 01\n< CD 90 00"
    assert run(script, lambda channel: commands.decipher(channel, b"\xab" * length)) == b"\xcd"


def test_a_long_cryptogram_is_chained() -> None:
    script = f"> 10 2A 80 86 FF {'AB' * 255}\n< 90 00\n> 00 2A 80 86 01 AB\n< 90 00"
    assert run(script, lambda channel: commands.decipher(channel, b"\xab" * 256)) == b""


def test_a_chain_that_is_refused_is_not_gone_on_with() -> None:
    error = refused(
        f"> 10 2A 80 86 FF {'AB' * 255}\n< 68 84",
        lambda channel: commands.decipher(channel, b"\xab" * 256),
    )
    assert (error.command, error.sw) == ("PERFORM SECURITY OPERATION", 0x6884)


# GET DATA, MSE, INTERNAL AUTHENTICATE.


def test_get_data_asks_and_fetches() -> None:
    script = "> 00 CB 3F FF 02 4D 00\n< 61 02\n> 00 C0 00 00 02\n< 70 00 90 00"
    assert run(script, lambda channel: commands.get_data(channel, b"\x4d\x00")) == b"\x70\x00"


def test_the_key_is_set_with_its_algorithm_first() -> None:
    run(
        "> 00 22 41 A4 06 80 01 02 84 01 82\n< 90 00",
        lambda channel: commands.set_authentication_key(channel, algorithm=2, reference=0x82),
    )


def test_internal_authenticate_returns_what_the_key_made() -> None:
    script = f"> 00 88 00 00 02 30 00\n< 61 00\n> 00 C0 00 00 00\n< {'AB' * 256} 90 00"
    signature = run(script, lambda channel: commands.internal_authenticate(channel, b"\x30\x00"))
    assert signature == b"\xab" * 256


@pytest.mark.parametrize(
    ("script", "call", "command"),
    [
        pytest.param(
            "> 00 CB 3F FF 02 4D 00\n< 6A 88",
            lambda channel: commands.get_data(channel, b"\x4d\x00"),
            "GET DATA",
            id="no such object",
        ),
        pytest.param(
            "> 00 22 41 A4 06 80 01 02 84 01 82\n< 6A 88",
            lambda channel: commands.set_authentication_key(channel, algorithm=2, reference=0x82),
            "MANAGE SECURITY ENVIRONMENT",
            id="no such key",
        ),
        pytest.param(
            "> 00 88 00 00 02 30 00\n< 69 82",
            lambda channel: commands.internal_authenticate(channel, b"\x30\x00"),
            "INTERNAL AUTHENTICATE",
            id="no PIN",
        ),
        pytest.param(
            "> 00 88 00 00 02 30 00\n< 61 02\n> 00 C0 00 00 02\n< AA BB 62 81",
            lambda channel: commands.internal_authenticate(channel, b"\x30\x00"),
            "INTERNAL AUTHENTICATE",
            id="data that may be corrupt",
        ),
    ],
)
def test_a_refusal_names_its_command(
    script: str, call: Callable[[Channel], bytes | None], command: str
) -> None:
    assert refused(script, call).command == command
