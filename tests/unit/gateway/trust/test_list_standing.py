from datetime import timedelta
from functools import cache
from typing import Unpack

import pytest
from cryptography import x509

from gateway.trust.list_entries import Reason
from gateway.trust.list_standing import Finding, Standing, find_standing
from gateway.trust.revocation_list import CLOCK_SKEW, RevocationList
from tests.support import pki
from tests.support.revocation import (
    HOLD,
    PLACE,
    REMOVED,
    STOLEN,
    ListOptions,
    entry,
    make_list,
    points,
    scope,
)

GOOD = Finding(standing=Standing.GOOD)
UNKNOWN = Finding(standing=Standing.UNKNOWN)
HOUR = timedelta(hours=1)
PAST, FUTURE = pki.NOW - 9 * HOUR, pki.NOW + 9 * HOUR


@cache
def leaf() -> x509.Certificate:
    return pki.leaf(extensions=[points(place=PLACE)])


def revoked(reason: Reason = Reason.KEY_COMPROMISE) -> Finding:
    return Finding(standing=Standing.REVOKED, reason=reason)


def found(*lists: RevocationList, overdue: timedelta = timedelta(0)) -> Finding:
    issuer = pki.hierarchy().intermediate.certificate
    return find_standing(leaf(), issuer, lists, pki.NOW, overdue=overdue)


def base(*reasons: x509.ReasonFlags | None, **options: Unpack[ListOptions]) -> RevocationList:
    defaults = ListOptions(number=10)
    return make_list(*(entry(leaf(), reason) for reason in reasons), **(defaults | options))


def delta(*reasons: x509.ReasonFlags | None, **options: Unpack[ListOptions]) -> RevocationList:
    defaults = ListOptions(number=12, base_number=10, this_update=pki.NOW - HOUR)
    return make_list(*(entry(leaf(), reason) for reason in reasons), **(defaults | options))


def test_without_lists_nothing_is_known() -> None:
    assert found() == UNKNOWN


def test_what_a_complete_list_does_not_name_is_good() -> None:
    assert found(base()) == GOOD


@pytest.mark.parametrize("reason", [None, *x509.ReasonFlags])
def test_what_a_complete_list_names_is_revoked(reason: x509.ReasonFlags | None) -> None:
    assert found(base(reason)).standing is Standing.REVOKED


def test_of_several_reasons_one_that_lasts_is_told() -> None:
    assert found(base(HOLD), base(STOLEN)) == revoked()


@pytest.mark.parametrize("when", ["stale", "future"])
def test_a_list_out_of_its_time_makes_nothing_good_but_still_revokes(when: str) -> None:
    start = PAST if when == "stale" else FUTURE
    times = ListOptions(this_update=start, next_update=start + HOUR)
    assert found(base(**times)) == UNKNOWN
    assert found(base(STOLEN, **times)) == revoked()


def test_an_overdue_list_counts_as_long_as_the_caller_says() -> None:
    overdue = pki.NOW - HOUR
    late = base(this_update=PAST, next_update=overdue)
    assert found(late, overdue=HOUR - CLOCK_SKEW) == GOOD
    assert found(late, overdue=HOUR - CLOCK_SKEW - timedelta(seconds=1)) == UNKNOWN


def test_lists_of_some_reasons_are_good_only_together() -> None:
    everything = set(x509.ReasonFlags) - {x509.ReasonFlags.unspecified, REMOVED}
    some = base(scope=scope(reasons=[STOLEN, HOLD]))
    rest = base(scope=scope(reasons=everything - {STOLEN, HOLD}))
    assert found(some) == found(rest) == UNKNOWN
    assert found(some, rest) == GOOD
    named = base(HOLD, scope=scope(reasons=[STOLEN, HOLD]))
    assert found(named, rest) == revoked(Reason.CERTIFICATE_HOLD)


def test_a_list_that_does_not_speak_of_the_certificate_still_revokes() -> None:
    elsewhere = scope(place=PLACE + "x")
    assert found(base(scope=elsewhere)) == UNKNOWN
    assert found(base(STOLEN, scope=elsewhere), base()) == revoked()


def test_a_list_for_another_authoritys_certificates_says_nothing() -> None:
    root = make_list(entry(leaf(), STOLEN), issuer=pki.hierarchy().root)
    assert found(root) == UNKNOWN
    assert found(root, base()) == GOOD


def test_a_delta_list_alone_makes_nothing_good() -> None:
    assert found(delta()) == UNKNOWN
    assert found(delta(REMOVED)) == UNKNOWN


def test_a_delta_list_adds() -> None:
    assert found(base(), delta(STOLEN)) == revoked()
    assert found(base(), delta(HOLD)) == revoked(Reason.CERTIFICATE_HOLD)


def test_a_delta_list_lifts_a_hold() -> None:
    assert found(base(HOLD), delta(REMOVED)) == GOOD


def test_a_delta_list_does_not_lift_what_lasts() -> None:
    assert found(base(STOLEN), delta(REMOVED)) == revoked()
    assert found(base(None), delta(REMOVED)) == revoked(Reason.UNSPECIFIED)


def test_a_removal_beside_another_reason_lifts_nothing() -> None:
    assert found(base(HOLD), delta(REMOVED, STOLEN)) == revoked()
    assert found(base(HOLD), delta(REMOVED, HOLD)) == revoked(Reason.CERTIFICATE_HOLD)


UNFIT: dict[str, ListOptions] = {
    "starts from a later list": {"base_number": 11},
    "older than the complete list": {"number": 9, "base_number": 8},
    "other scope": {"scope": scope(only_users=True)},
    "no key identifier": {"omitted": frozenset({x509.AuthorityKeyIdentifier.oid})},
    "out of date": {"this_update": PAST, "next_update": PAST + HOUR},
    "not yet": {"this_update": FUTURE, "next_update": FUTURE + HOUR},
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_delta_list_that_does_not_fit_lifts_nothing_and_still_adds(case: str) -> None:
    unfit = UNFIT[case]
    assert found(base(HOLD), delta(REMOVED, **unfit)) == revoked(Reason.CERTIFICATE_HOLD)
    assert found(base(), delta(STOLEN, **unfit)) == revoked()


def test_a_delta_list_of_a_complete_list_without_number_lifts_nothing() -> None:
    assert found(base(HOLD, number=None), delta(REMOVED)) == revoked(Reason.CERTIFICATE_HOLD)


def test_a_hold_in_a_delta_list_ends_with_a_complete_list_that_was_made_after_it() -> None:
    held = delta(HOLD, this_update=PAST)
    assert found(base(), held) == revoked(Reason.CERTIFICATE_HOLD)
    assert found(base(number=12), held) == GOOD
    assert found(base(number=12, next_update=pki.NOW - HOUR), held).standing is Standing.REVOKED
    assert found(base(number=12), delta(STOLEN, this_update=PAST)) == revoked()


def test_other_lists_do_not_spoil_a_delta_list_that_fits() -> None:
    assert found(base(HOLD), delta(REMOVED), delta(base_number=11)) == GOOD
    other = base(HOLD, scope=scope(only_users=True))
    assert found(base(HOLD), other, delta(REMOVED)) == revoked(Reason.CERTIFICATE_HOLD)
