import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from cps.issuer.hierarchy import AuthorityNames, Gamme, Population
from cps.issuer.index import Index, IssuedCertificate, index_from_bytes, index_to_bytes
from cps.issuer.leaf import Purpose

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
entries = st.builds(
    IssuedCertificate,
    serial=st.integers(1, (1 << 159) - 1),
    national_id=st.text(max_size=20),
    card_number=st.from_regex(r"[0-9]{10}", fullmatch=True),
    purpose=st.sampled_from(Purpose),
    not_after=moments,
    revoked_at=st.none() | moments,
    reason=st.none() | st.sampled_from(x509.ReasonFlags),
    released_at=st.none() | moments,
)
names = st.builds(
    AuthorityNames,
    organisation=st.text(max_size=20),
    gamme=st.sampled_from(Gamme),
    population=st.sampled_from(Population),
)
indexes = st.builds(
    Index,
    names=names,
    list_number=st.integers(0, 1 << 64),
    issued=st.lists(entries, max_size=4).map(tuple),
)

EMPTY = Index(names=AuthorityNames(), list_number=3, issued=())


@given(index=indexes)
@settings(max_examples=20)
def test_what_was_written_is_read(index: Index) -> None:
    assert index_from_bytes(index_to_bytes(index)) == index


WRITTEN = index_to_bytes(EMPTY)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        pytest.param(b"", "no JSON", id="empty"),
        pytest.param(WRITTEN[:-1], "no JSON", id="last byte missing"),
        pytest.param(b"\xff", "no JSON", id="not text"),
        pytest.param(b"[]", "wrong type", id="list"),
        pytest.param(b"null", "wrong type", id="null"),
        pytest.param(
            WRITTEN.replace(b'"version": 1', b'"version": 2'), "another version", id="other version"
        ),
        pytest.param(WRITTEN.replace(b'"host"', b'"ghost"'), "missing", id="member missing"),
        pytest.param(WRITTEN.replace(b'"FORT"', b'"STRONG"'), "missing", id="unknown family"),
        pytest.param(
            WRITTEN.replace(b'"issued": []', b'"issued": [7]'), "wrong type", id="entry is a number"
        ),
        pytest.param(
            WRITTEN.replace(b'"list_number": 3', b'"list_number": "x"'),
            "invalid literal",
            id="number is a word",
        ),
    ],
)
def test_what_is_no_index_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        index_from_bytes(data)


def test_index_from_before_there_were_holds_is_read() -> None:
    entry = IssuedCertificate(
        serial=5,
        national_id="899900000011",
        card_number="2899000001",
        purpose=Purpose.AUTHENTICATION,
        not_after=datetime(2029, 1, 1, tzinfo=UTC),
    )
    values = json.loads(index_to_bytes(replace(EMPTY, issued=(entry,))))
    del values["issued"][0]["released_at"]
    assert index_from_bytes(json.dumps(values).encode()).issued == (entry,)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        pytest.param(x509.ReasonFlags.certificate_hold, True, id="hold"),
        pytest.param(x509.ReasonFlags.key_compromise, False, id="stolen"),
        pytest.param(None, False, id="no reason"),
    ],
)
def test_only_a_hold_is_one(reason: x509.ReasonFlags | None, expected: bool) -> None:
    entry = IssuedCertificate(
        serial=5,
        national_id="899900000011",
        card_number="2899000001",
        purpose=Purpose.AUTHENTICATION,
        not_after=datetime(2029, 1, 1, tzinfo=UTC),
        revoked_at=datetime(2028, 1, 1, tzinfo=UTC),
        reason=reason,
    )
    assert entry.is_on_hold is expected


def test_serial_numbers_are_written_as_openssl_prints_them() -> None:
    entry = IssuedCertificate(
        serial=0x6BC2874B9334BED19414E8EB4FB317D4,
        national_id="899900000011",
        card_number="2899000001",
        purpose=Purpose.AUTHENTICATION,
        not_after=datetime(2029, 1, 1, tzinfo=UTC),
    )
    index = Index(names=AuthorityNames(), list_number=1, issued=(entry,))
    values = json.loads(index_to_bytes(index))
    assert values["issued"][0]["serial"] == "6BC2874B9334BED19414E8EB4FB317D4"
