"""Directory files: what real and sibling cards hold, and every way in which one can be wrong.

The vectors marked *real* are bytes of a real CPS3, published by V. Jardin in OpenSC: the AODF in
issue 2224, the entry of the PrKDF in issue 2267.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cps import tlv
from cps.pkcs15 import directory
from cps.pkcs15.directory import CertificateEntry, ObjectDirectory, PINObject, PrivateKey, Usage

AID = bytes.fromhex("E828BD080F8025000001FF0010")
REAL_PIN = bytes.fromhex("""
    30 61
      30 3F 0C 1C 436F646520706F7274657572206465206C6120636172746520435053 03 01 08 04 01 02
        30 19 30 06 03 02 05 20 05 00 30 06 03 02 06 40 05 00 30 07 03 02 03 08 04 01 04
      30 03 04 01 01
      A1 19 30 17 03 03 04 0C 10 0A 01 01 02 01 04 02 01 08 02 01 04 80 01 01 04 01 FF
""")
REAL_PUK = bytes.fromhex("""
    30 58
      30 39 0C 22 436F64652064652064C3A9626C6F63616765206465206C6120636172746520435053 03 01 08
        30 10 30 06 03 02 05 20 05 00 30 06 03 02 06 40 05 00
      30 03 04 01 04
      A1 16 30 14 03 03 04 1D 10 0A 01 01 02 01 08 02 01 08 02 01 08 80 01 02
""")
REAL_KEY = bytes.fromhex("""
    30 59
      30 2A 0C 0C 4350535F505249565F415554 03 02 05 E0 04 01 01
        30 13 30 07 03 02 00 01 04 01 01 30 08 03 03 06 00 40 04 01 01
      30 1F 04 0E E828BD080F8025000001FF001002 03 02 05 60 01 01 FF 03 02 04 B0 02 02 00 82
      A1 0A 30 08 30 02 04 00 02 02 08 00
""")
SIGNATURE_KEY = bytes.fromhex("""
    30 50
      30 20 0C 0C 4350535F505249565F534947 03 02 07 80 04 01 01
        30 09 30 07 03 02 02 04 04 01 01
      30 20 04 0E E828BD080F8025000001FF001001 03 03 06 00 40 01 01 FF 03 02 04 B0 02 02 00 81
      A1 0A 30 08 30 02 04 00 02 02 08 00
""")


def sequence(*parts: bytes) -> bytes:
    return tlv.encode(0x30, *parts)


def octets(value: bytes) -> bytes:
    return tlv.encode(0x04, value)


def integer(value: int) -> bytes:
    return tlv.encode(0x02, value.to_bytes(2, "big"))


def pin_entry(
    *,
    flags: bytes = bytes.fromhex("0303040C10"),
    lengths: tuple[int, ...] = (4, 8, 4),
    rest: bytes = bytes.fromhex("8001010401FF"),
    kind: bytes = bytes.fromhex("0A0101"),
    identity: bytes = b"\x01",
) -> bytes:
    attributes = sequence(flags, kind, *map(integer, lengths), rest)
    return sequence(sequence(), sequence(octets(identity)), tlv.encode(0xA1, attributes))


def key_entry(
    *,
    common: bytes = octets(b"\x01"),
    identity: bytes = octets(b"id"),
    usage: bytes = bytes.fromhex("03020560"),
    reference: bytes = bytes.fromhex("02020082"),
) -> bytes:
    return sequence(
        sequence(common),
        sequence(identity, usage, bytes.fromhex("0101FF 030204B0"), reference),
        tlv.encode(0xA1, sequence(sequence(octets(b"")), integer(2048))),
    )


def certificate_entry(
    *, common: bytes = b"", identity: bytes = b"id", path: bytes = bytes.fromhex("3F000001C002")
) -> bytes:
    value = tlv.encode(0xA1, sequence(sequence(octets(path))))
    return sequence(sequence(common), sequence(octets(identity)), value)


# The ODF.


@pytest.mark.parametrize(
    ("odf", "prefix", "public_keys"),
    [
        pytest.param(
            "A80A300804063F0000017001 A00A300804063F0000017002 A10A300804063F0000017004"
            "A40A300804063F0000017005 A70A300804063F0000017006",
            "3F000001",
            ["7004"],
            id="absolute paths",
        ),
        pytest.param(
            "A806300404027001 A006300404027002 A406300404027005 A706300404027006",
            "",
            [],
            id="relative paths",
        ),
    ],
)
def test_the_odf_names_the_other_files(odf: str, prefix: str, public_keys: list[str]) -> None:
    assert directory.object_directory(bytes.fromhex(odf)) == ObjectDirectory(
        authentication=(bytes.fromhex(prefix + "7001"),),
        private_keys=(bytes.fromhex(prefix + "7002"),),
        certificates=(bytes.fromhex(prefix + "7005"),),
        public_keys=tuple(bytes.fromhex(prefix + path) for path in public_keys),
        data_objects=(bytes.fromhex(prefix + "7006"),),
    )


def test_the_odf_may_name_several_files_of_a_kind_and_none_of_another() -> None:
    odf = directory.object_directory(bytes.fromhex("A406300404027005 A406300404027007"))
    assert odf.certificates == (b"\x70\x05", b"\x70\x07")
    assert odf.private_keys == ()


@pytest.mark.parametrize(
    ("path", "absolute"),
    [
        pytest.param("3F0000017005", "3F0000017005", id="absolute"),
        pytest.param("7005", "3F0000017005", id="relative"),
    ],
)
def test_a_relative_path_begins_at_the_application(path: str, absolute: str) -> None:
    application = bytes.fromhex("3F000001")
    assert directory.absolute(bytes.fromhex(path), application) == bytes.fromhex(absolute)


def test_a_path_may_have_eight_levels() -> None:
    path = bytes.fromhex("3F00") * 8
    odf = directory.object_directory(tlv.encode(0xA4, sequence(octets(path))))
    assert odf.certificates == (path,)


# The AODF.


def test_a_real_aodf_is_read_with_its_odd_bit_strings() -> None:
    pin, puk = directory.pin_objects(REAL_PIN + REAL_PUK)
    assert pin == PINObject(
        label="Code porteur de la carte CPS",
        auth_id=b"\x01",
        unblocked_by=b"\x02",
        unblocks=False,
        reference=1,
        type=1,
        min_length=4,
        max_length=4,
        stored_length=8,
        needs_padding=True,
        pad=b"\xff",
    )
    assert (puk.auth_id, puk.reference, puk.min_length, puk.pad) == (b"\x04", 2, 8, None)
    # The PIN names another identifier than this one, on a real card.
    assert (puk.label, puk.unblocked_by, puk.unblocks) == (
        "Code de déblocage de la carte CPS",
        None,
        True,
    )


def test_a_puk_of_full_length_needs_no_byte_to_pad_with() -> None:
    (puk,) = directory.pin_objects(REAL_PUK)
    assert puk.needs_padding
    assert puk.block(b"12345678") == b"12345678"


def test_a_real_pin_is_padded() -> None:
    (pin,) = directory.pin_objects(REAL_PIN)
    assert pin.block(b"1234") == b"1234\xff\xff\xff\xff"
    assert pin.block(b"12345678") == b"12345678"


def test_a_pin_is_padded_only_where_its_flags_say_so() -> None:
    (pin,) = directory.pin_objects(pin_entry(flags=bytes.fromhex("03020348"), lengths=(4, 4, 4)))
    assert pin.block(b"1234") == b"1234"


def test_a_pin_that_names_no_longest_length_has_its_stored_length() -> None:
    (pin,) = directory.pin_objects(pin_entry(lengths=(4, 8), rest=b""))
    assert (pin.max_length, pin.reference, pin.pad) == (8, 0, None)


def test_the_largest_values_are_read() -> None:
    entry = pin_entry(
        lengths=(1, 16, 16),
        rest=bytes.fromhex("800200FF 0401FF"),
        kind=bytes.fromhex("0A0102"),
        identity=bytes(32),
    )
    (pin,) = directory.pin_objects(entry)
    assert (pin.reference, pin.longest, len(pin.auth_id)) == (255, 16, 32)
    assert pin.block(b"1") == b"1".ljust(16, b"\xff")


def test_a_pin_of_one_byte_is_read() -> None:
    (pin,) = directory.pin_objects(pin_entry(lengths=(1, 1, 1)))
    assert pin.block(b"1") == b"1"


@pytest.mark.parametrize(
    ("entry", "digits"),
    [
        pytest.param(REAL_PIN, b"123", id="too short"),
        pytest.param(REAL_PIN, b"123456789", id="longer than what is stored"),
        pytest.param(pin_entry(lengths=(4, 4, 4), flags=b"\x03\x01\x00"), b"12345", id="unpadded"),
        pytest.param(pin_entry(rest=bytes.fromhex("800101")), b"1234", id="no byte to pad with"),
        pytest.param(pin_entry(kind=bytes.fromhex("0A0100")), b"1234", id="packed digits"),
        pytest.param(pin_entry(kind=bytes.fromhex("0A0104")), b"1234", id="ISO 9564"),
    ],
)
def test_a_pin_that_cannot_be_right_is_not_made(entry: bytes, digits: bytes) -> None:
    (pin,) = directory.pin_objects(entry)
    with pytest.raises(ValueError, match="PIN") as caught:
        pin.block(digits)
    assert digits.decode() not in str(caught.value)


# The PrKDF.


def test_a_real_authentication_key_is_read() -> None:
    assert directory.private_keys(REAL_KEY) == [
        PrivateKey(
            label="CPS_PRIV_AUT",
            id=AID + b"\x02",
            usage=frozenset({Usage.DECIPHER, Usage.SIGN}),
            reference=0x82,
            auth_id=b"\x01",
        )
    ]


def test_a_signature_key_is_told_by_its_usage() -> None:
    (key,) = directory.private_keys(SIGNATURE_KEY)
    assert key.usage == {Usage.NON_REPUDIATION}
    assert (key.id, key.reference) == (AID + b"\x01", 0x81)


def test_a_key_without_pin_or_reference_is_read() -> None:
    (key,) = directory.private_keys(key_entry(common=b"", reference=b""))
    assert (key.auth_id, key.reference) == (None, None)


# The CDF.


def test_certificates_are_read_with_identifier_label_and_path() -> None:
    cdf = bytes.fromhex(
        "304530230C214365727469666963617420642741757468656E74696669636174696F6E204350533010040EE828BD"
        "080F8025000001FF001002A10C300A300804063F000001C002"
    )
    assert directory.certificates(cdf) == [
        CertificateEntry(
            id=AID + b"\x02",
            label="Certificat d'Authentification CPS",
            path=bytes.fromhex("3F000001C002"),
        )
    ]


def test_a_certificate_with_the_flags_and_rules_of_a_real_one_is_read() -> None:
    common = bytes.fromhex(
        "0C1B4365727469666963617420646520 5369676E6174757265 20435053 03020800"
        "3011 3006030207800500 3007030206400401 01"
    )
    (entry,) = directory.certificates(certificate_entry(common=common))
    assert entry.label == "Certificat de Signature CPS"


def test_a_label_that_is_no_text_harms_nothing() -> None:
    common = tlv.encode(0x0C, b"\xff\xfe")
    (entry,) = directory.certificates(certificate_entry(common=common))
    assert entry.label == "\ufffd\ufffd"


# What is passed over, and what is refused.


@pytest.mark.parametrize(
    "decode",
    [directory.pin_objects, directory.private_keys, directory.certificates],
    ids=["AODF", "PrKDF", "CDF"],
)
def test_entries_of_other_kinds_are_passed_over(decode: Callable[[bytes], list[object]]) -> None:
    assert decode(bytes.fromhex("A0023000 A1023000")) == []


DECODERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (directory.object_directory, bytes.fromhex("A406300404027005")),
    (directory.pin_objects, pin_entry()),
    (directory.private_keys, key_entry()),
    (directory.certificates, certificate_entry()),
]
WRONG = [
    pytest.param(directory.object_directory, bytes.fromhex("A400"), id="ODF: no path"),
    pytest.param(directory.object_directory, bytes.fromhex("A4023000"), id="ODF: empty path"),
    pytest.param(directory.object_directory, bytes.fromhex("A40430020400"), id="ODF: path of 0"),
    pytest.param(directory.object_directory, bytes.fromhex("A4053003040170"), id="ODF: path of 1"),
    pytest.param(
        directory.object_directory,
        tlv.encode(0xA4, sequence(octets(bytes(18)))),
        id="ODF: path of 18",
    ),
    pytest.param(
        directory.object_directory,
        tlv.encode(0xA4, sequence(octets(bytes(17)))),
        id="ODF: path of 17",
    ),
    pytest.param(
        directory.certificates,
        tlv.encode(0x30, octets(b""), certificate_entry()[2:]),
        id="CDF: common part of another type",
    ),
    pytest.param(
        directory.certificates,
        certificate_entry().replace(b"\x30\x04\x04\x02id", b"\x31\x04\x04\x02id"),
        id="CDF: class part of another type",
    ),
    pytest.param(directory.pin_objects, sequence(), id="AODF: empty entry"),
    pytest.param(directory.pin_objects, sequence(octets(b""), octets(b"")), id="AODF: no parts"),
    pytest.param(directory.pin_objects, sequence(sequence(), sequence()), id="AODF: no attributes"),
    pytest.param(directory.pin_objects, pin_entry(flags=b""), id="AODF: no flags"),
    pytest.param(directory.pin_objects, pin_entry(kind=b""), id="AODF: no type"),
    pytest.param(directory.pin_objects, pin_entry(lengths=(4,)), id="AODF: one length"),
    pytest.param(directory.pin_objects, pin_entry(lengths=(4, 8, 8, 8)), id="AODF: four lengths"),
    pytest.param(directory.pin_objects, pin_entry(lengths=(5, 8, 4)), id="AODF: least over most"),
    pytest.param(directory.pin_objects, pin_entry(lengths=(4, 17, 8)), id="AODF: stores 17"),
    pytest.param(directory.pin_objects, pin_entry(lengths=(4, 0, 8)), id="AODF: stores nothing"),
    pytest.param(directory.pin_objects, pin_entry(lengths=(4, 8, 300)), id="AODF: 300 digits"),
    pytest.param(directory.pin_objects, pin_entry(identity=b""), id="AODF: no identifier"),
    pytest.param(directory.pin_objects, pin_entry(identity=bytes(33)), id="AODF: long identifier"),
    pytest.param(
        directory.pin_objects, pin_entry(rest=bytes.fromhex("80020100")), id="AODF: reference 256"
    ),
    pytest.param(
        directory.pin_objects, pin_entry(rest=bytes.fromhex("800181")), id="AODF: reference < 0"
    ),
    pytest.param(directory.private_keys, key_entry(identity=b""), id="PrKDF: no identifier"),
    pytest.param(directory.private_keys, key_entry(usage=b"\x03\x00"), id="PrKDF: empty usage"),
    pytest.param(
        directory.private_keys,
        key_entry(reference=bytes.fromhex("020182")),
        id="PrKDF: negative reference",
    ),
    pytest.param(
        directory.private_keys,
        key_entry(reference=bytes.fromhex("02020100")),
        id="PrKDF: reference 256",
    ),
    pytest.param(directory.certificates, certificate_entry(path=b""), id="CDF: empty path"),
    pytest.param(directory.certificates, certificate_entry(identity=b""), id="CDF: no identifier"),
    pytest.param(
        directory.certificates,
        sequence(sequence(), sequence(octets(b"id")), tlv.encode(0xA1, b"\xa0\x00")),
        id="CDF: certificate in the directory itself",
    ),
]


@pytest.mark.parametrize(("decode", "data"), WRONG)
def test_an_entry_that_makes_no_sense_is_refused(
    decode: Callable[[bytes], object], data: bytes
) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data)


@pytest.mark.parametrize(("decode", "entry"), DECODERS, ids=["ODF", "AODF", "PrKDF", "CDF"])
def test_a_truncated_file_is_refused(decode: Callable[[bytes], object], entry: bytes) -> None:
    for cut in range(1, len(entry)):
        with pytest.raises(ValueError, match=r"."):
            decode(entry[:cut])


@pytest.mark.parametrize(("decode", "entry"), DECODERS, ids=["ODF", "AODF", "PrKDF", "CDF"])
@given(data=st.data())
def test_garbage_is_a_value_or_a_value_error(
    decode: Callable[[bytes], object], entry: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(entry)
    for position in data.draw(st.lists(st.integers(0, len(entry) - 1), max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255))
    for raw in (bytes(damaged), data.draw(st.binary(max_size=40))):
        try:
            decode(raw)
        except ValueError:
            continue
