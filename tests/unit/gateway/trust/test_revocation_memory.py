from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.trust.list_entries import Reason
from gateway.trust.revocation_memory import (
    KeptAnswer,
    KeptRevocation,
    kept_answer,
    kept_revocation,
    owner_of,
)
from gateway.trust.serial_table import SerialTable, encode_serial
from gateway.trust.table_file import TableFile
from tests.support import pki

OWNER = "ab" * 32
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.timedeltas(timedelta(0), timedelta(days=49_000)).map(lambda after: EPOCH + after)


def file(owner: str, *records: bytes, value_bytes: int) -> TableFile:
    table = SerialTable.of(records, value_bytes=value_bytes)
    return TableFile(about={}, tables={owner: table})


@given(reason=st.sampled_from(Reason), moment=MOMENTS)
def test_a_revocation_comes_back_with_its_day(reason: Reason, moment: datetime) -> None:
    kept = KeptRevocation.decode(KeptRevocation(reason=reason, kept_since=moment).encode())
    assert kept.reason is reason
    assert kept.kept_since <= moment < kept.kept_since + timedelta(days=1)


@given(held=st.booleans(), this_update=MOMENTS, expires=MOMENTS)
def test_an_answer_comes_back_to_the_second(
    held: bool, this_update: datetime, expires: datetime
) -> None:
    value = KeptAnswer(held=held, this_update=this_update, expires=expires).encode()
    assert len(value) == KeptAnswer.VALUE_BYTES
    assert KeptAnswer.decode(value) == KeptAnswer(
        held=held,
        this_update=this_update.replace(microsecond=0),
        expires=expires.replace(microsecond=0),
    )


def test_a_revocation_is_found_under_its_issuer_alone() -> None:
    value = KeptRevocation(reason=Reason.SUPERSEDED, kept_since=pki.NOW).encode()
    kept = file(OWNER, encode_serial(5) + value, value_bytes=len(value))
    found = kept_revocation(kept, OWNER, 5)
    assert found is not None
    assert found.reason is Reason.SUPERSEDED
    assert kept_revocation(kept, OWNER, 6) is None
    assert kept_revocation(kept, "cd" * 32, 5) is None
    assert kept_revocation(None, OWNER, 5) is None


def test_the_newest_answer_counts() -> None:
    answers = [
        KeptAnswer(held=held, this_update=pki.NOW + timedelta(hours=hours), expires=pki.NOW)
        for held, hours in ((False, 1), (True, 3), (False, 2))
    ]
    records = [encode_serial(5) + answer.encode() for answer in answers]
    kept = file(OWNER, *records, value_bytes=KeptAnswer.VALUE_BYTES)
    assert kept_answer(kept, OWNER, 5) == answers[1]
    assert kept_answer(kept, OWNER, 6) is None
    assert kept_answer(None, OWNER, 5) is None


def test_a_reason_that_does_not_exist_is_no_revocation() -> None:
    with pytest.raises(ValueError, match="7 is not"):
        KeptRevocation.decode(b"\x07\x00\x00")


def test_an_authority_is_named_by_the_hash_of_its_certificate() -> None:
    ours, sibling = pki.hierarchy().intermediate, pki.sibling_intermediate()
    assert len(bytes.fromhex(owner_of(ours.certificate))) == 32
    assert owner_of(ours.certificate) != owner_of(sibling.certificate)
