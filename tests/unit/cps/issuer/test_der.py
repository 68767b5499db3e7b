from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given, settings
from hypothesis import strategies as st

from cps import tlv
from cps.issuer import der
from cps.issuer.extensions import UNKNOWN, critical, plain
from tests.support import pki


@given(value=st.integers(-(1 << 170), 1 << 170))
@settings(max_examples=50)
def test_integer_is_read_back_by_a_strict_reader(value: int) -> None:
    encoded = der.integer(value)
    content = tlv.read(encoded)[0].value
    assert int.from_bytes(content, "big", signed=True) == value
    assert len(content) == 1 or content[0] not in (0x00, 0xFF) or content[0] >> 7 != content[1] >> 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0, "020100", id="zero"),
        pytest.param(127, "02017f", id="one byte"),
        pytest.param(128, "02020080", id="top bit"),
        pytest.param(256, "02020100", id="two bytes"),
        pytest.param(-1, "0201ff", id="minus one"),
        pytest.param(-128, "020180", id="lowest of one byte"),
        pytest.param(-129, "0202ff7f", id="below it"),
    ],
)
def test_integer_has_its_shortest_form(value: int, expected: str) -> None:
    assert der.integer(value).hex() == expected


arcs = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=8)


@given(root=st.integers(0, 1), second=st.integers(0, 39), others=arcs)
@settings(max_examples=50)
def test_object_identifier_is_read_back_by_the_library(
    root: int, second: int, others: list[int]
) -> None:
    dotted = ".".join(map(str, (root, second, *others)))
    read = asn1.decode_der(x509.ObjectIdentifier, der.object_identifier(dotted))
    assert read.dotted_string == dotted


def test_object_identifier_under_the_third_root_may_have_a_large_second_arc() -> None:
    assert der.object_identifier("2.999.3").hex() == "0603883703"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        pytest.param(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"491231235959Z", id="2049"),
        pytest.param(datetime(2050, 1, 1, tzinfo=UTC), b"20500101000000Z", id="2050"),
        pytest.param(
            datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            b"251231230000Z",
            id="other time zone",
        ),
    ],
)
def test_time_is_short_until_2049(moment: datetime, expected: bytes) -> None:
    encoded = tlv.read(der.time(moment))[0]
    assert encoded.value == expected
    assert encoded.tag == (0x17 if len(expected) == 13 else 0x18)


def test_generalized_time_has_four_digits_for_any_year() -> None:
    assert der.generalized_time(pki.NOW) == b"\x18\x0f20261123120000Z"


def test_extension_says_critical_only_where_it_is() -> None:
    assert der.extension(plain(UNKNOWN)).hex() == "300f06092b0601040181fd59010402" + "0500"
    assert der.extension(critical(UNKNOWN)).hex() == "301206092b0601040181fd59010101ff0402" + "0500"


@pytest.mark.parametrize("algorithm", der.SignatureAlgorithm, ids=lambda each: each.name)
def test_signature_is_one_of_the_algorithm_it_names(algorithm: der.SignatureAlgorithm) -> None:
    identifier, bits = tlv.iterate(der.signature(b"signed", pki.key("leaf"), algorithm))
    assert identifier.encode() == algorithm.identifier()
    pki.key("leaf").public_key().verify(
        bits.value[1:], b"signed", padding.PKCS1v15(), algorithm.hash()
    )
