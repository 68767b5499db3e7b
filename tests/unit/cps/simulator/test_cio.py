"""The directory files, compared with bytes published of real cards."""

from datetime import UTC, datetime, timedelta, timezone

from cps import tlv
from cps.simulator import cio
from cps.simulator.personalise import AUTHENTICATION, SIGNATURE, TECHNICAL

AODF = (
    "3061 303F 0C1C 436F646520706F7274657572206465206C6120636172746520435053 030108 040102"
    " 3019 3006 03020520 0500 3006 03020640 0500 3007 03020308 040104"
    " 3003 040101"
    " A119 3017 0303040C10 0A0101 020104 020108 020104 800101 0401FF"
    " 3058 3039 0C22 436F64652064652064C3A9626C6F63616765206465206C6120636172746520435053 030108"
    " 3010 3006 03020520 0500 3006 03020640 0500"
    " 3003 040104"
    " A116 3014 0303041D10 0A0101 020108 020108 020108 800102"
)
AUTHENTICATION_KEY = (
    "3059 302A 0C0C 4350535F505249565F415554 030205E0 040101"
    " 3013 3007 03020001 040101 3008 0303060040 040101"
    " 301F 040E E828BD080F8025000001FF001002 03020560 0101FF 030204B0 02020082"
    " A10A 3008 3002 0400 02020800"
)
SIGNATURE_CERTIFICATE_BEGINS = (
    "3052 3034 0C1B 43657274696669636174206465205369676E617475726520435053 03020800"
    " 3011 3006 03020780 0500 3007 03020640 040101"
    " 3010 040E E828BD080F8025000001FF001001"
)


def test_the_pins_are_described_as_on_a_real_card_mistakes_included() -> None:
    assert cio.aodf() == bytes.fromhex(AODF)


def test_the_authentication_key_is_described_as_on_a_real_card() -> None:
    assert cio.private_key_entry(AUTHENTICATION) == bytes.fromhex(AUTHENTICATION_KEY)


def test_a_certificate_is_described_as_on_a_real_card() -> None:
    entry = cio.certificate_entry(SIGNATURE, b"\xc0\x01")

    assert entry.startswith(bytes.fromhex(SIGNATURE_CERTIFICATE_BEGINS))
    assert entry.endswith(bytes.fromhex("A108 3006 3004 0402 C001"))


def test_a_key_reference_is_a_positive_number() -> None:
    assert bytes.fromhex("02020081") in cio.private_key_entry(SIGNATURE)
    assert bytes.fromhex("02020083") in cio.private_key_entry(TECHNICAL)


def test_the_technical_key_names_no_pin() -> None:
    common = tlv.read(cio.private_key_entry(TECHNICAL))[0].children()[0].children()

    assert [item.tag for item in common] == [0x0C]


def test_a_private_object_names_the_pin_and_a_public_one_does_not() -> None:
    private = cio.data_entry("A", cio.FLAG_PRIVATE, b"\xd1\x20")
    public = cio.data_entry("A", cio.NO_FLAGS, b"\xd1\x20")

    assert bytes.fromhex("0302 0780 040101") in private
    assert bytes.fromhex("040101") not in public


def test_the_token_says_its_label_and_when_it_was_made_in_utc() -> None:
    paris = timezone(timedelta(hours=1))
    info = cio.token_info("CPS3v3-2899000001", datetime(2026, 11, 23, 13, 0, 5, tzinfo=paris))
    fields = tlv.read(info)[0].children()

    assert [field.tag for field in fields] == [0x02, 0x0C, 0x80, 0x03, 0xA2, 0xA5]
    assert fields[2].value == b"CPS3v3-2899000001"
    assert fields[5].children()[0].value == b"20261123120005Z"
    assert (
        fields[5].value
        == cio.token_info("CPS3v3-2899000001", datetime(2026, 11, 23, 12, 0, 5, tzinfo=UTC))[-17:]
    )


def test_the_token_names_its_algorithms_as_commands_do() -> None:
    fields = tlv.read(cio.token_info("x", datetime(2026, 11, 23, tzinfo=UTC)))[0].children()

    references = [algorithm.children()[-1].value.hex() for algorithm in fields[4].children()]

    assert references == ["10", "40", "12", "42", "02", "1a"]
