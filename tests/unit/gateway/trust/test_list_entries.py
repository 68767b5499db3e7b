from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from cps import tlv
from cps.issuer import der
from cps.issuer.crl import Revocation
from cps.issuer.extensions import UNKNOWN, AnyExtension, critical, plain
from cps.issuer.hierarchy import Population
from gateway.trust import list_entries
from gateway.trust.list_entries import (
    Reason,
    gravest,
    indirect_entries,
    is_permanent,
    packed_entries,
    places,
    reason_of,
    without_entries,
)
from gateway.trust.serial_table import SERIAL_BYTES, decode_serial, encode_serial
from tests.support import pki
from tests.support.revocation import HOLD, REMOVED, STOLEN, entry, list_der, scope

OTHER = replace(pki.NAMES, population=Population.ORGANISATIONS).intermediate()
DATE = x509.InvalidityDate(pki.NOW.replace(tzinfo=None))


def packed(raw: bytes) -> list[bytes]:
    x509.load_der_x509_crl(raw)
    return packed_entries(raw, places(raw).entries)


def read(*entries: Revocation) -> dict[int, Reason]:
    return {decode_serial(each): Reason(each[-1]) for each in packed(list_der(*entries))}


def raw_entry(serial: bytes, rest: bytes = b"") -> bytes:
    """Return an entry whose serial number no builder would make."""
    return der.sequence(tlv.encode(0x02, serial), der.time(pki.NOW), rest)


def reason_extension(contents: bytes) -> AnyExtension:
    return plain(x509.UnrecognizedExtension(x509.CRLReason.oid, contents))


def certificate_issuer(*names: x509.GeneralName) -> AnyExtension:
    return critical(x509.CertificateIssuer(names))


def test_entries_are_read_with_their_reasons() -> None:
    assert read(entry(1), entry(2, STOLEN), entry(3, HOLD), entry(4, REMOVED)) == {
        1: Reason.UNSPECIFIED,
        2: Reason.KEY_COMPROMISE,
        3: Reason.CERTIFICATE_HOLD,
        4: Reason.REMOVE_FROM_CRL,
    }


@pytest.mark.parametrize("flag", list(x509.ReasonFlags))
def test_every_reason_of_the_standard_is_known(flag: x509.ReasonFlags) -> None:
    assert read(entry(7, flag)) == {7: reason_of(flag)}


def test_a_list_of_nothing_has_no_entries() -> None:
    assert read() == {}


def test_an_empty_list_of_entries_is_not_left_in() -> None:
    with pytest.raises(ValueError, match="without entries"):
        packed_entries(b"\x30\x00", slice(0, 2))


SERIALS = st.integers(-(1 << 159), (1 << 159) - 1)


@given(st.dictionaries(SERIALS, st.sampled_from([None, STOLEN, HOLD]), max_size=20))
def test_any_serial_number_is_read(entries: dict[int, x509.ReasonFlags | None]) -> None:
    expected = {
        serial: Reason.UNSPECIFIED if flag is None else reason_of(flag)
        for serial, flag in entries.items()
    }
    assert read(*(entry(serial, flag) for serial, flag in entries.items())) == expected


@given(st.lists(SERIALS, max_size=10))
def test_the_library_reads_the_same_serial_numbers(serials: list[int]) -> None:
    raw = list_der(*map(entry, serials))
    assert [each.serial_number for each in x509.load_der_x509_crl(raw)] == [
        decode_serial(each) for each in packed(raw)
    ]


def test_what_else_an_entry_tells_is_no_reason_to_refuse() -> None:
    more = (plain(DATE), plain(UNKNOWN))
    assert read(entry(5, STOLEN, more), entry(6, None, more)) == {
        5: Reason.KEY_COMPROMISE,
        6: Reason.UNSPECIFIED,
    }


def test_no_more_than_a_thousand_kinds_of_extensions_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(list_entries, "MAX_REMEMBERED", 2)
    assert set(read(entry(1), entry(2, STOLEN), entry(3, HOLD), entry(4, HOLD))) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("extensions", "problem"),
    [
        pytest.param((critical(UNKNOWN),), "1.3.6.1.4.1.32473.1 is not", id="unknown critical"),
        pytest.param((plain(UNKNOWN), plain(UNKNOWN)), "stands twice", id="twice"),
        pytest.param(
            (certificate_issuer(x509.DirectoryName(OTHER)),), "2.5.29.29 is not", id="other issuer"
        ),
        pytest.param(
            (plain(x509.CertificateIssuer([x509.DirectoryName(OTHER)])),),
            "2.5.29.29 is not",
            id="other issuer, not critical",
        ),
        pytest.param((reason_extension(b"\x0a\x01\x07"),), "7 is not", id="reason 7"),
        pytest.param((reason_extension(b"\x0a\x01\x0b"),), "11 is not", id="reason 11"),
        pytest.param((reason_extension(b"\x02\x01\x01"),), "no ENUMERATED", id="INTEGER"),
        pytest.param((reason_extension(b"\x0a\x02\x00\x01"),), "no ENUMERATED", id="two bytes"),
        pytest.param((reason_extension(b""),), "no ENUMERATED", id="empty"),
    ],
)
def test_an_entry_that_is_not_understood_spoils_the_list(
    extensions: tuple[AnyExtension, ...], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        read(entry(1), entry(2, None, extensions))


def test_a_serial_number_that_fits_no_record_spoils_the_list() -> None:
    fits = b"\x40" + bytes(SERIAL_BYTES - 1)
    raw = der.sequence(raw_entry(fits))
    assert packed_entries(raw, slice(0, len(raw))) == [fits + b"\x00"]
    raw = der.sequence(raw_entry(fits), raw_entry(fits + b"\x00"))
    with pytest.raises(ValueError, match="more than 21 bytes"):
        packed_entries(raw, slice(0, len(raw)))


def test_an_entry_of_more_than_127_bytes_is_read() -> None:
    long = plain(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(300)))
    assert read(entry(1), entry(2, STOLEN, (long,)), entry(3)) == {
        1: Reason.UNSPECIFIED,
        2: Reason.KEY_COMPROMISE,
        3: Reason.UNSPECIFIED,
    }


@pytest.mark.parametrize("count", [0, 1, 3, 2000], ids=lambda n: f"{n} entries")
def test_a_list_without_its_entries_is_still_a_list(count: int) -> None:
    raw = list_der(*map(entry, range(1, count + 1)), number=7)
    whole, bare = (x509.load_der_x509_crl(each) for each in (raw, without_entries(raw)))
    assert len(bare) == 0
    assert list(bare.extensions) == list(whole.extensions)
    for name in ("issuer", "last_update_utc", "next_update_utc", "signature"):
        assert getattr(bare, name) == getattr(whole, name)


def test_what_is_signed_is_what_the_library_says() -> None:
    raw = list_der(entry(1), entry(2))
    assert raw[places(raw).signed] == x509.load_der_x509_crl(raw).tbs_certlist_bytes


def by_issuer(*entries: Revocation) -> dict[str, list[int]]:
    crl = x509.load_der_x509_crl(list_der(*entries, scope=scope(indirect=True)))
    return {
        name.rfc4514_string(): [decode_serial(each) for each in records]
        for name, records in indirect_entries(crl).items()
    }


def test_entries_of_an_indirect_list_are_of_the_issuer_named_last() -> None:
    own = pki.hierarchy().intermediate.certificate.subject
    assert by_issuer(
        entry(1),
        entry(2, STOLEN, (certificate_issuer(x509.DirectoryName(OTHER)),)),
        entry(3),
        entry(4, HOLD, (certificate_issuer(x509.DirectoryName(own)),)),
        entry(5, None, (plain(DATE),)),
    ) == {own.rfc4514_string(): [1, 4, 5], OTHER.rfc4514_string(): [2, 3]}


def test_reasons_of_an_indirect_list_are_read() -> None:
    crl = x509.load_der_x509_crl(list_der(entry(9, HOLD), scope=scope(indirect=True)))
    (records,) = indirect_entries(crl).values()
    assert records == [encode_serial(9) + bytes((Reason.CERTIFICATE_HOLD,))]


@pytest.mark.parametrize(
    ("extension", "problem"),
    [
        pytest.param(critical(UNKNOWN), "is not supported", id="unknown critical"),
        pytest.param(
            certificate_issuer(x509.DNSName("a.example")), "not one directory name", id="no name"
        ),
        pytest.param(
            certificate_issuer(x509.DirectoryName(OTHER), x509.DirectoryName(OTHER)),
            "not one directory name",
            id="two names",
        ),
    ],
)
def test_an_entry_of_an_indirect_list_that_is_not_understood_spoils_it(
    extension: AnyExtension, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        by_issuer(entry(1, None, (extension,)))


@pytest.mark.parametrize(
    "reader", [packed, lambda raw: indirect_entries(x509.load_der_x509_crl(raw))]
)
@settings(deadline=1000)
@given(at=st.integers(0, 9999), flip=st.integers(1, 255))
def test_damage_is_refused_or_read_but_never_a_crash(
    reader: Callable[[bytes], object], at: int, flip: int
) -> None:
    raw = bytearray(
        list_der(entry(1), entry(2, STOLEN, (plain(DATE),)), scope=scope(indirect=True))
    )
    raw[at % len(raw)] ^= flip
    # The caller makes one error of these.
    with suppress(ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion):
        reader(bytes(raw))


def test_only_a_hold_and_a_removal_are_taken_back() -> None:
    assert [reason for reason in Reason if not is_permanent([reason])] == [
        Reason.CERTIFICATE_HOLD,
        Reason.REMOVE_FROM_CRL,
    ]
    assert is_permanent([Reason.CERTIFICATE_HOLD, Reason.SUPERSEDED])
    assert not is_permanent([])


def test_the_gravest_reason_is_one_that_is_never_taken_back() -> None:
    assert gravest([Reason.CERTIFICATE_HOLD, Reason.AA_COMPROMISE]) is Reason.AA_COMPROMISE
    assert gravest([Reason.CERTIFICATE_HOLD]) is Reason.CERTIFICATE_HOLD
