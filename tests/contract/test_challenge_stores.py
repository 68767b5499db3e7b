"""What every store of login attempts does; one parameter for each implementation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from multiprocessing.synchronize import Barrier

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode, b64url_encode
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import require_rid
from gateway.errors import LoginRejectedError
from gateway.login.attempt import ANSWER_SECONDS, START_CODE_SECONDS
from gateway.login.challenge import ChallengeState, ChallengeStore
from gateway.settings import LoginSettings, SessionSettings
from tests.support.logins import DOCTOR, MOMENT, agent_key
from tests.support.processes import in_two_processes
from tests.support.store_places import StorePlace

SETTINGS = LoginSettings(challenge_seconds=180, code_seconds=30)
KEY = agent_key()
BROWSER = b"b" * 32
OTHER_BROWSER = b"o" * 32
UNKNOWN_RID = b64url_encode(bytes(16))


def at(seconds: float) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


@contextmanager
def opened(place: StorePlace) -> Iterator[ChallengeStore]:
    with place.opened(SETTINGS, SessionSettings()) as stores:
        yield stores.challenges


@pytest.fixture
def store(store_place: StorePlace) -> Iterator[ChallengeStore]:
    with opened(store_place) as store:
        yield store


def new(store: ChallengeStore) -> str:
    return store.create(target_id=None, pre_hash=BROWSER, now=MOMENT).rid


def claimed(store: ChallengeStore) -> str:
    rid = new(store)
    store.claim(rid, KEY, now=MOMENT)
    return rid


def taken(store: ChallengeStore) -> str:
    rid = claimed(store)
    store.take(rid, now=MOMENT)
    return rid


def verified(store: ChallengeStore) -> str:
    rid = taken(store)
    store.complete(rid, DOCTOR, now=MOMENT)
    return rid


def used(store: ChallengeStore) -> str:
    rid = taken(store)
    store.redeem(store.complete(rid, DOCTOR, now=MOMENT), BROWSER, now=MOMENT)
    return rid


def failed(store: ChallengeStore) -> str:
    rid = claimed(store)
    store.fail(rid)
    return rid


def begun(store: ChallengeStore) -> str:
    return store.begin(KEY, now=MOMENT).rid


def start_code(store: ChallengeStore) -> str:
    rid = begun(store)
    store.take(rid, now=MOMENT)
    return store.complete(rid, DOCTOR, now=MOMENT)


def answer_code(store: ChallengeStore) -> str:
    return store.offer(start_code(store), BROWSER, now=MOMENT).answer_code


def refusal(ask: Callable[[], object]) -> ErrorCode:
    with pytest.raises(LoginRejectedError) as caught:
        ask()
    return caught.value.reason


def test_a_login_goes_through_its_states(store: ChallengeStore) -> None:
    target_id = store.keep_target("/patients?page=2", now=MOMENT)
    challenge = store.create(target_id=target_id, pre_hash=BROWSER, now=MOMENT)
    rid = challenge.rid
    assert require_rid(rid) == rid
    assert len(challenge.nonce) == 32
    assert challenge.expires_at == at(180)
    assert store.state(rid, BROWSER, now=MOMENT) is ChallengeState.NEW

    claim = store.claim(rid, KEY, now=at(1))
    assert (claim.nonce, claim.agent_key, claim.target) == (
        challenge.nonce,
        KEY,
        "/patients?page=2",
    )
    assert store.state(rid, BROWSER, now=at(1)) is ChallengeState.CLAIMED

    assert store.take(rid, now=at(2)) == claim
    assert store.state(rid, BROWSER, now=at(2)) is ChallengeState.TAKEN

    code = store.complete(rid, DOCTOR, now=at(3))
    assert len(b64url_decode(code)) == 32
    assert store.state(rid, BROWSER, now=at(3)) is ChallengeState.VERIFIED

    login = store.redeem(code, BROWSER, now=at(4))
    assert (login.identity, login.agent_key, login.target) == (DOCTOR, KEY, "/patients?page=2")
    assert store.state(rid, BROWSER, now=at(4)) is ChallengeState.USED


def test_nothing_random_comes_twice(store: ChallengeStore) -> None:
    challenges = [store.create(target_id=None, pre_hash=BROWSER, now=MOMENT) for _ in range(20)]
    assert len({challenge.rid for challenge in challenges}) == 20
    assert len({bytes(challenge.nonce) for challenge in challenges}) == 20
    assert len({store.keep_target("/", now=MOMENT) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("prepare", "seconds", "reason"),
    [
        pytest.param(lambda _: UNKNOWN_RID, 0, ErrorCode.RID_UNKNOWN, id="unknown"),
        pytest.param(new, 180, ErrorCode.RID_EXPIRED, id="expired"),
        pytest.param(new, -61, ErrorCode.RID_EXPIRED, id="clock far back"),
        pytest.param(claimed, 0, ErrorCode.RID_USED, id="claimed"),
        pytest.param(claimed, 180, ErrorCode.RID_USED, id="claimed and expired"),
        pytest.param(taken, 0, ErrorCode.RID_USED, id="taken"),
        pytest.param(verified, 0, ErrorCode.RID_USED, id="verified"),
        pytest.param(used, 0, ErrorCode.RID_USED, id="used"),
        pytest.param(failed, 0, ErrorCode.RID_USED, id="failed"),
    ],
)
def test_a_claim_wants_a_new_challenge(
    store: ChallengeStore,
    prepare: Callable[[ChallengeStore], str],
    seconds: int,
    reason: ErrorCode,
) -> None:
    rid = prepare(store)
    assert refusal(lambda: store.claim(rid, agent_key(), now=at(seconds))) is reason


@pytest.mark.parametrize(
    ("prepare", "seconds", "reason"),
    [
        pytest.param(lambda _: UNKNOWN_RID, 0, ErrorCode.RID_UNKNOWN, id="unknown"),
        pytest.param(new, 0, ErrorCode.RID_UNKNOWN, id="unclaimed"),
        pytest.param(claimed, 180, ErrorCode.RID_EXPIRED, id="expired"),
        pytest.param(claimed, -61, ErrorCode.RID_EXPIRED, id="clock far back"),
        pytest.param(taken, 0, ErrorCode.RID_USED, id="taken"),
        pytest.param(verified, 0, ErrorCode.RID_USED, id="verified"),
        pytest.param(used, 0, ErrorCode.RID_USED, id="used"),
        pytest.param(failed, 0, ErrorCode.RID_USED, id="failed"),
    ],
)
def test_a_token_wants_a_claimed_challenge(
    store: ChallengeStore,
    prepare: Callable[[ChallengeStore], str],
    seconds: int,
    reason: ErrorCode,
) -> None:
    rid = prepare(store)
    assert refusal(lambda: store.take(rid, now=at(seconds))) is reason


@pytest.mark.parametrize(
    ("prepare", "seconds", "reason"),
    [
        pytest.param(lambda _: UNKNOWN_RID, 0, ErrorCode.RID_UNKNOWN, id="unknown"),
        pytest.param(new, 0, ErrorCode.RID_UNKNOWN, id="unclaimed"),
        pytest.param(claimed, 0, ErrorCode.RID_USED, id="not taken"),
        pytest.param(taken, 180, ErrorCode.RID_EXPIRED, id="expired"),
        pytest.param(verified, 0, ErrorCode.RID_USED, id="verified"),
        pytest.param(used, 0, ErrorCode.RID_USED, id="used"),
        pytest.param(failed, 0, ErrorCode.RID_USED, id="failed"),
    ],
)
def test_a_code_is_given_for_a_taken_challenge_alone(
    store: ChallengeStore,
    prepare: Callable[[ChallengeStore], str],
    seconds: int,
    reason: ErrorCode,
) -> None:
    rid = prepare(store)
    assert refusal(lambda: store.complete(rid, DOCTOR, now=at(seconds))) is reason


def test_a_refused_second_claim_leaves_the_first_agents_key(store: ChallengeStore) -> None:
    rid = claimed(store)
    refusal(lambda: store.claim(rid, agent_key(), now=MOMENT))
    assert store.take(rid, now=MOMENT).agent_key == KEY


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("", id="empty"),
        pytest.param(b64url_encode(bytes(32)), id="never given"),
        pytest.param(b64url_encode(bytes(31)), id="short"),
        pytest.param("A" * 42 + "B", id="not canonical"),
        pytest.param("é" * 43, id="not ASCII"),
        pytest.param("A" * 100_000, id="long"),
    ],
)
def test_a_wrong_code_is_refused(store: ChallengeStore, code: str) -> None:
    rid = verified(store)
    assert refusal(lambda: store.redeem(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID
    assert store.state(rid, BROWSER, now=MOMENT) is ChallengeState.VERIFIED


LEASE = "AAECAwQFBgcICQoLDA0ODw"


@pytest.mark.parametrize("lease", [LEASE, None], ids=["lease", "no lease"])
def test_a_code_stands_for_the_lease_that_the_session_is_to_have(
    store: ChallengeStore, lease: str | None
) -> None:
    code = store.complete(taken(store), DOCTOR, lease=lease, now=MOMENT)
    assert store.redeem(code, BROWSER, now=MOMENT).lease == lease


def test_a_code_is_good_once(store: ChallengeStore) -> None:
    code = store.complete(taken(store), DOCTOR, now=MOMENT)
    store.redeem(code, BROWSER, now=MOMENT)
    assert refusal(lambda: store.redeem(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID


@pytest.mark.parametrize(
    ("browser", "reason"),
    [
        pytest.param(OTHER_BROWSER, ErrorCode.BROWSER_MISMATCH, id="another browser"),
        pytest.param(None, ErrorCode.COOKIE_MISSING, id="no cookie"),
        pytest.param(b"", ErrorCode.BROWSER_MISMATCH, id="empty"),
    ],
)
def test_a_right_code_in_a_wrong_browser_ends_the_attempt(
    store: ChallengeStore, browser: bytes | None, reason: ErrorCode
) -> None:
    rid = taken(store)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    assert refusal(lambda: store.redeem(code, browser, now=MOMENT)) is reason
    # Not even the browser that began may go on: the code was seen by somebody else.
    assert refusal(lambda: store.redeem(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID
    assert store.state(rid, BROWSER, now=MOMENT) is ChallengeState.FAILED


def test_a_code_of_another_attempt_is_no_way_in(store: ChallengeStore) -> None:
    victim = store.complete(taken(store), DOCTOR, now=MOMENT)
    mine = store.create(target_id=None, pre_hash=OTHER_BROWSER, now=MOMENT)
    assert (
        refusal(lambda: store.redeem(victim, OTHER_BROWSER, now=MOMENT))
        is ErrorCode.BROWSER_MISMATCH
    )
    assert store.state(mine.rid, OTHER_BROWSER, now=MOMENT) is ChallengeState.NEW


@pytest.mark.parametrize("seconds", [30, -61], ids=["expired", "clock far back"])
def test_a_code_has_its_time(store: ChallengeStore, seconds: int) -> None:
    code = store.complete(taken(store), DOCTOR, now=MOMENT)
    assert refusal(lambda: store.redeem(code, BROWSER, now=at(seconds))) is ErrorCode.CODE_INVALID


def test_a_code_outlives_the_challenge_it_ended(store: ChallengeStore) -> None:
    rid = taken(store)
    code = store.complete(rid, DOCTOR, now=at(179))
    assert store.state(rid, BROWSER, now=at(200)) is ChallengeState.VERIFIED
    assert store.knows_browser(BROWSER, now=at(200))
    assert store.redeem(code, BROWSER, now=at(208)).identity == DOCTOR


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(new, id="new"),
        pytest.param(claimed, id="claimed"),
        pytest.param(taken, id="taken"),
        pytest.param(verified, id="verified"),
    ],
)
def test_an_unfinished_attempt_can_fail(
    store: ChallengeStore, prepare: Callable[[ChallengeStore], str]
) -> None:
    rid = prepare(store)
    store.fail(rid)
    assert store.state(rid, BROWSER, now=MOMENT) is ChallengeState.FAILED


def test_a_finished_attempt_cannot_fail(store: ChallengeStore) -> None:
    rid = used(store)
    store.fail(rid)
    store.fail(UNKNOWN_RID)
    assert store.state(rid, BROWSER, now=MOMENT) is ChallengeState.USED


@pytest.mark.parametrize("code", [ErrorCode.CERT_REVOKED, None], ids=["said", "unsaid"])
def test_a_failure_keeps_its_reason(store: ChallengeStore, code: ErrorCode | None) -> None:
    rid = taken(store)
    store.fail(rid, code)
    store.fail(rid, ErrorCode.INTERNAL)
    assert store.failure(rid) is code


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(new, id="new"),
        pytest.param(taken, id="taken"),
        pytest.param(verified, id="verified"),
        pytest.param(used, id="used"),
        pytest.param(failed, id="failed"),
    ],
)
def test_only_a_claimed_attempt_has_a_claimant_who_can_give_up(
    store: ChallengeStore, prepare: Callable[[ChallengeStore], str]
) -> None:
    rid = prepare(store)
    before = store.state(rid, BROWSER, now=MOMENT)
    assert store.claimant(rid) is None
    refusal(lambda: store.abort(rid, KEY, ErrorCode.PIN_WRONG, now=MOMENT))
    assert store.state(rid, BROWSER, now=MOMENT) is before
    assert store.failure(rid) is None


def test_a_claimant_gives_up_once(store: ChallengeStore) -> None:
    rid = claimed(store)
    assert store.claimant(rid) == KEY
    store.abort(rid, KEY, ErrorCode.PIN_CANCELLED, now=at(1))
    assert store.state(rid, BROWSER, now=at(1)) is ChallengeState.FAILED
    assert store.failure(rid) is ErrorCode.PIN_CANCELLED
    assert not store.knows_browser(BROWSER, now=at(1))
    assert (
        refusal(lambda: store.abort(rid, KEY, ErrorCode.PIN_WRONG, now=at(1))) is ErrorCode.RID_USED
    )
    assert refusal(lambda: store.take(rid, now=at(1))) is ErrorCode.RID_USED


@pytest.mark.parametrize("seconds", [180, -61], ids=["expired", "clock far back"])
def test_giving_up_has_its_time(store: ChallengeStore, seconds: int) -> None:
    rid = claimed(store)
    give_up = partial(store.abort, rid, KEY, ErrorCode.PIN_WRONG, now=at(seconds))
    assert refusal(give_up) is ErrorCode.RID_EXPIRED


def test_another_key_gives_nothing_up(store: ChallengeStore) -> None:
    rid = claimed(store)
    other = AgentKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())
    refusal(lambda: store.abort(rid, other, ErrorCode.PIN_WRONG, now=MOMENT))
    assert store.state(rid, BROWSER, now=MOMENT) is ChallengeState.CLAIMED


def test_nobody_claimed_an_unknown_attempt(store: ChallengeStore) -> None:
    assert store.claimant(UNKNOWN_RID) is None


def test_a_failure_makes_the_code_void(store: ChallengeStore) -> None:
    rid = taken(store)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    store.fail(rid)
    assert refusal(lambda: store.redeem(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID


@pytest.mark.parametrize(
    ("prepare", "browser", "seconds", "reason"),
    [
        pytest.param(lambda _: UNKNOWN_RID, BROWSER, 0, ErrorCode.RID_UNKNOWN, id="unknown"),
        pytest.param(new, OTHER_BROWSER, 0, ErrorCode.BROWSER_MISMATCH, id="another browser"),
        pytest.param(new, b"", 0, ErrorCode.BROWSER_MISMATCH, id="no cookie"),
        pytest.param(new, BROWSER, 180, ErrorCode.RID_EXPIRED, id="expired"),
        pytest.param(taken, BROWSER, 180, ErrorCode.RID_EXPIRED, id="expired while verified"),
        pytest.param(verified, BROWSER, 30, ErrorCode.RID_EXPIRED, id="code expired"),
    ],
)
def test_a_state_is_told_to_the_browser_that_began(
    store: ChallengeStore,
    prepare: Callable[[ChallengeStore], str],
    browser: bytes,
    seconds: int,
    reason: ErrorCode,
) -> None:
    rid = prepare(store)
    assert refusal(lambda: store.state(rid, browser, now=at(seconds))) is reason


@pytest.mark.parametrize(
    ("prepare", "seconds", "known"),
    [
        pytest.param(new, 179, True, id="new"),
        pytest.param(claimed, 179, True, id="claimed"),
        pytest.param(verified, 29, True, id="verified"),
        pytest.param(new, 180, False, id="expired"),
        pytest.param(used, 0, False, id="used"),
        pytest.param(failed, 0, False, id="failed"),
    ],
)
def test_a_browser_is_known_while_an_attempt_of_it_lives(
    store: ChallengeStore,
    prepare: Callable[[ChallengeStore], str],
    seconds: int,
    known: bool,
) -> None:
    prepare(store)
    assert store.knows_browser(BROWSER, now=at(seconds)) is known
    assert not store.knows_browser(OTHER_BROWSER, now=at(seconds))


@pytest.mark.parametrize(
    ("target_id", "seconds"),
    [
        pytest.param(None, 0, id="none"),
        pytest.param("AAAAAAAAAAAAAAAAAAAAAA", 0, id="unknown"),
        pytest.param("", 0, id="empty"),
    ],
)
def test_without_a_known_page_a_login_leads_to_the_first(
    store: ChallengeStore, target_id: str | None, seconds: int
) -> None:
    challenge = store.create(target_id=target_id, pre_hash=BROWSER, now=at(seconds))
    assert challenge.target == "/"


def test_a_page_serves_every_attempt_until_it_is_too_old(store: ChallengeStore) -> None:
    target_id = store.keep_target("/a", now=MOMENT)

    def target(seconds: int) -> str:
        return store.create(target_id=target_id, pre_hash=BROWSER, now=at(seconds)).target

    assert [target(0), target(1), target(3599), target(3600)] == ["/a", "/a", "/a", "/"]


def test_a_page_of_another_origin_is_not_kept(store: ChallengeStore) -> None:
    target_id = store.keep_target("//evil.example/", now=MOMENT)
    assert store.create(target_id=target_id, pre_hash=BROWSER, now=MOMENT).target == "/"


def test_an_agents_login_goes_through_its_states(store: ChallengeStore) -> None:
    challenge = store.begin(KEY, now=MOMENT)
    rid = challenge.rid
    assert require_rid(rid) == rid
    assert (len(challenge.nonce), challenge.agent_key, challenge.target) == (32, KEY, "/")
    assert challenge.expires_at == at(180)
    assert store.claimant(rid) == KEY
    assert store.take(rid, now=at(1)) == challenge

    code = store.complete(rid, DOCTOR, lease=LEASE, now=at(2))
    assert not store.knows_browser(BROWSER, now=at(2))
    offer = store.offer(code, BROWSER, now=at(3))
    assert (offer.rid, offer.identity) == (rid, DOCTOR)
    assert len(b64url_decode(offer.answer_code)) == 32
    assert offer.answer_code != code
    assert offer.answer_code not in repr(offer)
    assert store.state(rid, BROWSER, now=at(3)) is ChallengeState.OFFERED
    assert store.knows_browser(BROWSER, now=at(3))

    login = store.settle(offer.answer_code, BROWSER, now=at(4))
    assert (login.identity, login.agent_key, login.target) == (DOCTOR, KEY, "/")
    assert login.lease == LEASE
    assert store.state(rid, BROWSER, now=at(4)) is ChallengeState.USED
    assert not store.knows_browser(BROWSER, now=at(4))


def test_nobody_else_claims_what_an_agent_began(store: ChallengeStore) -> None:
    rid = begun(store)
    other = AgentKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())
    for key in (other, KEY):
        assert refusal(partial(store.claim, rid, key, now=MOMENT)) is ErrorCode.RID_USED
    assert store.claimant(rid) == KEY


@pytest.mark.parametrize("browser", [BROWSER, b""], ids=["a browser", "no cookie"])
def test_no_browser_is_told_of_a_login_that_is_in_none(
    store: ChallengeStore, browser: bytes
) -> None:
    rid = begun(store)
    assert refusal(lambda: store.state(rid, browser, now=MOMENT)) is ErrorCode.BROWSER_MISMATCH


@pytest.mark.parametrize(
    ("browser", "reason"),
    [
        pytest.param(BROWSER, ErrorCode.BROWSER_MISMATCH, id="a browser"),
        pytest.param(None, ErrorCode.COOKIE_MISSING, id="no cookie"),
        pytest.param(b"", ErrorCode.BROWSER_MISMATCH, id="empty"),
    ],
)
def test_an_agents_code_opens_nothing_at_a_browsers_callback(
    store: ChallengeStore, browser: bytes | None, reason: ErrorCode
) -> None:
    code = start_code(store)
    assert refusal(lambda: store.redeem(code, browser, now=MOMENT)) is reason
    # Nor anywhere else any more.
    assert refusal(lambda: store.offer(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID


def test_a_browsers_code_is_not_offered_and_is_burnt(store: ChallengeStore) -> None:
    rid = taken(store)
    code = store.complete(rid, DOCTOR, now=MOMENT)
    for browser in (OTHER_BROWSER, BROWSER):
        assert refusal(partial(store.offer, code, browser, now=MOMENT)) is ErrorCode.CODE_INVALID
    assert store.state(rid, BROWSER, now=MOMENT) is ChallengeState.FAILED
    assert refusal(lambda: store.redeem(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID


@pytest.mark.parametrize("step", ["offer", "redeem", "settle"])
def test_codes_of_one_step_are_not_those_of_another(store: ChallengeStore, step: str) -> None:
    rid = taken(store)
    codes = {
        "offer": start_code(store),
        "redeem": store.complete(rid, DOCTOR, now=MOMENT),
        "settle": answer_code(store),
    }
    for name, code in codes.items():
        if name != step:
            refusal(partial(getattr(store, step), code, OTHER_BROWSER, now=MOMENT))


def test_an_agents_code_is_offered_once(store: ChallengeStore) -> None:
    code = start_code(store)
    offer = store.offer(code, BROWSER, now=MOMENT)
    for browser in (BROWSER, OTHER_BROWSER):
        assert refusal(partial(store.offer, code, browser, now=MOMENT)) is ErrorCode.CODE_INVALID
    # That somebody tried it again takes nothing from who was first.
    assert store.settle(offer.answer_code, BROWSER, now=MOMENT).identity == DOCTOR


def test_an_answer_counts_once(store: ChallengeStore) -> None:
    code = answer_code(store)
    store.settle(code, BROWSER, now=MOMENT)
    assert refusal(lambda: store.settle(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID


@pytest.mark.parametrize(
    ("browser", "reason"),
    [
        pytest.param(OTHER_BROWSER, ErrorCode.BROWSER_MISMATCH, id="another browser"),
        pytest.param(None, ErrorCode.COOKIE_MISSING, id="no cookie"),
        pytest.param(b"", ErrorCode.BROWSER_MISMATCH, id="empty"),
    ],
)
def test_an_answer_of_another_browser_ends_the_attempt(
    store: ChallengeStore, browser: bytes | None, reason: ErrorCode
) -> None:
    code = answer_code(store)
    assert refusal(lambda: store.settle(code, browser, now=MOMENT)) is reason
    assert refusal(lambda: store.settle(code, BROWSER, now=MOMENT)) is ErrorCode.CODE_INVALID


@pytest.mark.parametrize(
    ("prepare", "step", "seconds"),
    [
        pytest.param(start_code, "offer", START_CODE_SECONDS, id="code"),
        pytest.param(start_code, "offer", -61, id="code, clock far back"),
        pytest.param(answer_code, "settle", ANSWER_SECONDS, id="answer"),
        pytest.param(answer_code, "settle", -61, id="answer, clock far back"),
    ],
)
def test_an_agents_login_has_its_times(
    store: ChallengeStore, prepare: Callable[[ChallengeStore], str], step: str, seconds: int
) -> None:
    code = prepare(store)
    late = partial(getattr(store, step), code, BROWSER, now=at(seconds))
    assert refusal(late) is ErrorCode.CODE_INVALID


def test_the_times_of_an_agents_login_are_long_enough(store: ChallengeStore) -> None:
    offer = store.offer(start_code(store), BROWSER, now=at(START_CODE_SECONDS - 1))
    assert store.state(offer.rid, BROWSER, now=at(50)) is ChallengeState.OFFERED
    late = at(START_CODE_SECONDS + ANSWER_SECONDS - 2)
    assert store.settle(offer.answer_code, BROWSER, now=late).identity == DOCTOR


def test_settings_may_shorten_an_agents_code(store_place: StorePlace) -> None:
    settings = LoginSettings(code_seconds=START_CODE_SECONDS - 5)
    with store_place.opened(settings, SessionSettings()) as stores:
        code = start_code(stores.challenges)
        late = partial(stores.challenges.offer, code, BROWSER, now=at(START_CODE_SECONDS - 5))
        assert refusal(late) is ErrorCode.CODE_INVALID


def test_an_offer_can_fail(store: ChallengeStore) -> None:
    offer = store.offer(start_code(store), BROWSER, now=MOMENT)
    store.fail(offer.rid, ErrorCode.INTERNAL)
    answer = partial(store.settle, offer.answer_code, BROWSER, now=MOMENT)
    assert refusal(answer) is ErrorCode.CODE_INVALID
    assert not store.knows_browser(BROWSER, now=MOMENT)


def test_an_agent_gives_up_what_it_began(store: ChallengeStore) -> None:
    rid = begun(store)
    store.abort(rid, KEY, ErrorCode.PIN_CANCELLED, now=at(1))
    assert refusal(lambda: store.take(rid, now=at(1))) is ErrorCode.RID_USED


ROUNDS = 40


def _wins(step: Callable[[], object]) -> bool:
    try:
        step()
    except LoginRejectedError:
        return False
    return True


def _race(place: StorePlace, step: str, subjects: list[str], together: Barrier) -> list[bool]:
    key = agent_key()
    results = []
    with opened(place) as store:
        steps: dict[str, Callable[[str], object]] = {
            "claim": lambda rid: store.claim(rid, key, now=MOMENT),
            "take": lambda rid: store.take(rid, now=MOMENT),
            "abort": lambda rid: store.abort(
                rid, store.claimant(rid) or key, ErrorCode.PIN_WRONG, now=MOMENT
            ),
            "complete": lambda rid: store.complete(rid, DOCTOR, now=MOMENT),
            "redeem": lambda code: store.redeem(code, BROWSER, now=MOMENT),
            "offer": lambda code: store.offer(code, BROWSER, now=MOMENT),
            "settle": lambda code: store.settle(code, BROWSER, now=MOMENT),
        }
        for subject in subjects:
            together.wait(30)
            results.append(_wins(partial(steps[step], subject)))
    return results


@pytest.mark.parametrize(
    ("step", "prepare"),
    [
        pytest.param("claim", new, id="claim"),
        pytest.param("take", claimed, id="take"),
        pytest.param("abort", claimed, id="abort"),
        pytest.param("complete", taken, id="complete"),
        pytest.param("redeem", lambda s: s.complete(taken(s), DOCTOR, now=MOMENT), id="redeem"),
        pytest.param("offer", start_code, id="offer"),
        pytest.param("settle", answer_code, id="settle"),
    ],
)
def test_of_two_processes_one_wins_each_step(
    store: ChallengeStore,
    store_place: StorePlace,
    step: str,
    prepare: Callable[[ChallengeStore], str],
) -> None:
    subjects = [prepare(store) for _ in range(ROUNDS)]
    first, second = in_two_processes(_race, store_place, step, subjects)
    assert all(one != two for one, two in zip(first, second, strict=True))
