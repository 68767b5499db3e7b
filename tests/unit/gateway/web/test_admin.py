"""What the administrators' page shows and does, once somebody is let to it."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from werkzeug.test import TestResponse

from gateway.errors import StoreUnavailableError
from gateway.guard.store import Block
from gateway.session.cookie import SESSION_COOKIE
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason, Session, SessionEnd
from gateway.session.recorder import session_name
from gateway.web import admin
from gateway.web.admin import MAX_FIELD_CHARS, MAX_PAGES, PAGE_ROWS, SHOWN_BEFORE_ASKING
from gateway.web.admin_access import form_seal
from tests.support.gateway_fakes import (
    CLIENT,
    NOW,
    TEST_PERSON,
    Browser,
    FakedGateway,
    make_gateway,
)
from tests.unit.gateway.web.admin_desk import ADMINISTRATOR, COLLEAGUE, OTHER_CARD, AdminDesk

ENDED = "sessions_ended_by_administrator"
HOSTILE = replace(
    COLLEAGUE,
    family_name='<script>alert(1)</script>"',
    given_name="</bdi>{{ 7*7 }}'\u202e",
    organisation="<img src=x onerror=alert(1)>",
)


def act_of(browser: Browser) -> Mapping[str, object]:
    """Return what every act's line says of who did it."""
    return {
        "administrator": ADMINISTRATOR.national_id,
        "card_number": ADMINISTRATOR.card_number,
        "by_session": session_name(browser.session_key()),
        "client": CLIENT,
    }


def rows(answer: TestResponse) -> list[str]:
    """Return the names of the sessions in a list."""
    return re.findall(r'href="/_cps/admin/session/([0-9a-f]{16})"', answer.text)


# What is shown.


def test_everybody_who_is_in_is_listed_the_oldest_first(desk: AdminDesk) -> None:
    keys = []
    for person in (TEST_PERSON, COLLEAGUE):
        keys += desk.let_in(person)
        desk.gateway.clock.advance(1)
    browser = desk.log_in()
    answer = browser.open("/_cps/admin")
    assert rows(answer) == [session_name(key) for key in [*keys, browser.session_key()]]
    for shown in (
        "3 sessions ouvertes",
        "CAMILLE VOISIN",
        "Personne 899900000039, carte 2899000009",
        "2026-11-23 12:00 UTC",
        "ne concerne que ce portail : Portail &lt;d&#39;essai&gt;",
    ):
        assert shown in answer.text
    assert answer.text.count("(votre session)") == 1


@pytest.mark.parametrize(
    ("query", "count"),
    [
        pytest.param("", 5, id="all"),
        pytest.param("?identity=&card=", 5, id="nothing filled in"),
        pytest.param("?identity=899900000013", 3, id="of a person"),
        pytest.param("?identity=%20899900000013%20", 3, id="with spaces around"),
        pytest.param("?card=2899000002", 1, id="of a card"),
        pytest.param("?identity=899900000013&card=2899000001", 2, id="of both"),
        pytest.param("?identity=899900000039&card=2899000001", 0, id="of neither"),
        pytest.param("?identity=%3Cscript%3E", 0, id="of nobody"),
    ],
)
def test_those_are_listed_who_are_searched_for(desk: AdminDesk, query: str, count: int) -> None:
    desk.let_in(TEST_PERSON, TEST_PERSON, OTHER_CARD, COLLEAGUE)
    answer = desk.log_in().open(f"/_cps/admin{query}")
    assert len(rows(answer)) == count
    assert "<script" not in answer.text


def test_a_session_is_shown_with_all_that_helps(desk: AdminDesk) -> None:
    (key,) = desk.let_in(replace(COLLEAGUE, organisation="HÔPITAL IMAGINAIRE"))
    answer = desk.log_in().open(f"/_cps/admin/session/{session_name(key)}")
    for shown in (
        session_name(key), "CAMILLE VOISIN", "899900000039", "2899000009", "Médecin", "(CPS)",
        "HÔPITAL IMAGINAIRE", "0A1B2C", "2026-11-23 12:00 UTC", "2026-11-23 13:00 UTC",
        "n’est pas suivie",
    ):  # fmt: skip
        assert shown in answer.text
    assert "Votre propre session" not in answer.text


def test_ones_own_session_is_told_and_until_when_its_card_is_there(desk: AdminDesk) -> None:
    browser = desk.log_in()
    text = browser.open(f"/_cps/admin/session/{session_name(browser.session_key())}").text
    assert "Votre propre session" in text
    assert "2026-11-23 12:01 UTC" in text


def test_a_session_never_ends_after_the_absolute_limit(desk: AdminDesk) -> None:
    limit = desk.gateway.settings.session.absolute_seconds
    (key,) = desk.let_in(COLLEAGUE)
    for _ in range(limit // 3000):
        desk.gateway.clock.advance(3000)
        desk.gateway.sessions.get(key, now=desk.gateway.clock())
    answer = desk.log_in().open(f"/_cps/admin/session/{session_name(key)}")
    assert f"{NOW + timedelta(seconds=limit):%H:%M} UTC" in answer.text


@pytest.mark.parametrize(
    "name", ["0123456789abcdef", "x", "%3Cb%3E", "a" * 300], ids=["none", "x", "tag", "long"]
)
def test_a_session_that_is_over_is_said_to_be(desk: AdminDesk, name: str) -> None:
    answer = desk.log_in().open(f"/_cps/admin/session/{name}")
    assert answer.status_code == 404
    assert "Session déjà terminée" in answer.text


def test_no_page_shows_what_opens_a_session(desk: AdminDesk) -> None:
    keys = desk.let_in(COLLEAGUE, COLLEAGUE)
    browser = desk.log_in()
    cookie = browser.cookie(SESSION_COOKIE)
    assert cookie is not None
    pages = [
        browser.open("/_cps/admin"),
        browser.open(f"/_cps/admin/session/{session_name(browser.session_key())}"),
        desk.submit(browser, "/_cps/admin/end", all="yes"),
    ]
    for page in pages:
        for secret in (cookie.hex(), browser.session_key().hex(), *(key.hex() for key in keys)):
            assert secret[:17] not in page.text
        assert "Set-Cookie" not in page.headers


@pytest.mark.parametrize(
    "path", ["/_cps/admin", "/_cps/admin/session/{}", "confirm"], ids=["list", "one", "question"]
)
def test_names_from_cards_are_text_and_nothing_else(desk: AdminDesk, path: str) -> None:
    first, _ = desk.let_in(HOSTILE, HOSTILE)
    browser = desk.log_in()
    answer = (
        desk.submit(browser, "/_cps/admin/end", identity=COLLEAGUE.national_id)
        if path == "confirm"
        else browser.open(path.format(session_name(first)))
    )
    assert answer.status_code == 200
    assert "&lt;script&gt;" in answer.text
    assert "{{ 7*7 }}" in answer.text
    for live in ("<script", "<img", "</bdi>{{"):
        assert live not in answer.text
    # What turns the direction of text ends with the name.
    assert answer.text.count("<bdi>") == answer.text.count("</bdi>")


def test_the_pages_speak_english_too(desk: AdminDesk) -> None:
    desk.let_in(COLLEAGUE, COLLEAGUE)
    browser = desk.log_in()
    english = {"Accept-Language": "en"}
    assert "3 open sessions" in browser.open("/_cps/admin", english).text
    assert "Nobody is blocked" in browser.open("/_cps/admin/blocked", english).text


# Pages of a list.


def test_a_list_is_shown_a_page_at_a_time(desk: AdminDesk) -> None:
    desk.let_in(*[COLLEAGUE] * (2 * PAGE_ROWS + 1))
    browser = desk.log_in()
    search = "identity=899900000039"
    seen = []
    for page, length in ((1, PAGE_ROWS), (2, PAGE_ROWS), (3, 1)):
        answer = browser.open(f"/_cps/admin?{search}&page={page}")
        assert len(rows(answer)) == length
        assert f"{2 * PAGE_ROWS + 1} sessions ouvertes" in answer.text
        assert ("Page suivante" in answer.text) is (page < 3)
        assert ("Page précédente" in answer.text) is (page > 1)
        seen += rows(answer)
    assert len(set(seen)) == 2 * PAGE_ROWS + 1
    assert f"page=2&amp;{search}" in browser.open(f"/_cps/admin?{search}").text


def test_a_full_page_is_the_only_one_where_no_more_follow(desk: AdminDesk) -> None:
    desk.let_in(*[COLLEAGUE] * PAGE_ROWS)
    answer = desk.log_in().open("/_cps/admin?card=2899000009")
    assert "Page suivante" not in answer.text


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("page=0", id="page 0"),
        pytest.param("page=-1", id="negative"),
        pytest.param("page=x", id="no number"),
        pytest.param("page=1.5", id="no whole number"),
        pytest.param("page=%C2%B2", id="a digit that is none"),
        pytest.param(f"page={MAX_PAGES + 1}", id="past the last page"),
        pytest.param("page=" + "9" * 60, id="huge"),
        pytest.param("page=1&page=2", id="twice"),
        pytest.param("identity=" + "8" * (MAX_FIELD_CHARS + 1), id="long identity"),
        pytest.param("card=" + "8" * (MAX_FIELD_CHARS + 1), id="long card"),
        pytest.param("limit=100000", id="unknown field"),
    ],
)
def test_what_no_page_of_ours_asks_for_is_refused(desk: AdminDesk, query: str) -> None:
    answer = desk.log_in().open(f"/_cps/admin?{query}")
    assert answer.status_code == 400
    assert not rows(answer)


def test_the_last_page_has_none_behind_it(desk: AdminDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "MAX_PAGES", 1)
    desk.let_in(*[COLLEAGUE] * (PAGE_ROWS + 1))
    assert "Page suivante" not in desk.log_in().open("/_cps/admin").text


# The end of sessions.


def test_one_session_is_ended_by_its_name_without_a_question(desk: AdminDesk) -> None:
    key, other = desk.let_in(COLLEAGUE, COLLEAGUE)
    browser = desk.log_in()
    answer = desk.submit(browser, "/_cps/admin/end", session=session_name(key))
    assert "Nombre de sessions fermées : 1" in answer.text
    assert desk.living() == {other, browser.session_key()}
    assert desk.gateway.sessions.why_ended(key) is EndReason.ADMINISTRATOR
    (act,) = desk.gateway.audit.named(ENDED)
    assert act == {**act_of(browser), "count": 1, "sessions": [session_name(key)]}


def test_the_end_is_recorded_with_the_administrators_address(desk: AdminDesk) -> None:
    (key,) = desk.let_in(COLLEAGUE)
    desk.submit(desk.log_in(), "/_cps/admin/end", session=session_name(key))
    ends: list[SessionEnd] = []
    desk.gateway.sessions.record_ends(ends.append, now=desk.gateway.clock())
    assert [(end.key, end.reason, end.client) for end in ends] == [
        (key, EndReason.ADMINISTRATOR, CLIENT)
    ]


def test_the_only_session_of_a_card_is_ended_without_a_question(desk: AdminDesk) -> None:
    kept, _ = desk.let_in(TEST_PERSON, OTHER_CARD)
    browser = desk.log_in()
    desk.submit(browser, "/_cps/admin/end", card=OTHER_CARD.card_number)
    assert desk.living() == {kept, browser.session_key()}


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        pytest.param({"identity": TEST_PERSON.national_id}, [0, 1, 2], id="of a person"),
        pytest.param({"card": TEST_PERSON.card_number}, [0, 1], id="of a card"),
        pytest.param({"all": "yes"}, [0, 1, 2, 3, 4], id="all, one's own too"),
    ],
)
def test_more_than_one_is_ended_after_a_question_that_says_how_many(
    desk: AdminDesk, fields: dict[str, str], meant: list[int]
) -> None:
    keys = desk.let_in(TEST_PERSON, TEST_PERSON, OTHER_CARD, COLLEAGUE)
    browser = desk.log_in()
    keys.append(browser.session_key())
    question = desk.submit(browser, "/_cps/admin/end", **fields)
    assert f"Fermer {len(meant)} sessions ?" in question.text
    assert ("Votre propre session" in question.text) is (4 in meant)
    assert desk.living() == set(keys)
    assert desk.gateway.audit.events == []

    # The form in the question asks for the very same.
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', question.text))
    assert hidden.pop("seal") == form_seal(browser.session_key())
    assert hidden == {**fields, "confirmed": "yes"}
    act = act_of(browser)
    answer = desk.submit(browser, "/_cps/admin/end", **hidden)
    assert f"Nombre de sessions fermées : {len(meant)}" in answer.text
    assert desk.living() == {key for number, key in enumerate(keys) if number not in meant}
    (event,) = desk.gateway.audit.named(ENDED)
    names = [session_name(keys[number]) for number in meant]
    assert event == {**act, "count": len(meant), "sessions": names}


def test_the_question_shows_some_and_tells_how_many_more(desk: AdminDesk) -> None:
    desk.let_in(*[COLLEAGUE] * (SHOWN_BEFORE_ASKING + 2))
    answer = desk.submit(desk.log_in(), "/_cps/admin/end", identity=COLLEAGUE.national_id)
    assert len(rows(answer)) == SHOWN_BEFORE_ASKING
    assert "et 2 de plus" in answer.text


def test_one_act_ends_only_so_many_and_says_how_many_are_left(
    desk: AdminDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "MAX_ENDED", 3)
    keys = desk.let_in(*[COLLEAGUE] * 5)
    browser = desk.log_in()
    form = {"identity": COLLEAGUE.national_id}
    question = desk.submit(browser, "/_cps/admin/end", **form).text
    assert "Fermer 5 sessions ?" in question
    assert "Une demande en ferme 3 au plus" in question
    answer = desk.submit(browser, "/_cps/admin/end", **form, confirmed="yes")
    assert "Il en reste 2" in answer.text
    assert len(desk.living() & set(keys)) == 2
    (act,) = desk.gateway.audit.named(ENDED)
    assert act["count"] == 3


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="empty"),
        pytest.param({"confirmed": "yes"}, id="confirmed nothing"),
        pytest.param({"all": ""}, id="all, not filled in"),
        pytest.param({"identity": " ", "confirmed": "yes"}, id="an empty identity"),
        pytest.param({"all": "yes", "identity": "899900000013"}, id="all and one"),
        pytest.param({"everything": "yes", "all": "yes"}, id="unknown field"),
        pytest.param({"identity": "8" * (MAX_FIELD_CHARS + 1)}, id="too long"),
    ],
)
def test_a_form_that_is_none_of_ours_ends_nothing(desk: AdminDesk, fields: dict[str, str]) -> None:
    keys = desk.let_in(COLLEAGUE)
    answer = desk.submit(desk.log_in(), "/_cps/admin/end", **fields)
    assert answer.status_code == 400
    assert set(keys) <= desk.living()
    assert desk.gateway.audit.events == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"session": "0123456789abcdef"}, id="of no such name"),
        pytest.param({"identity": "80"}, id="of nobody"),
        pytest.param({"card": "*", "confirmed": "yes"}, id="of no card"),
    ],
)
def test_where_nothing_is_meant_nothing_is_ended_or_recorded(
    desk: AdminDesk, fields: dict[str, str]
) -> None:
    keys = desk.let_in(COLLEAGUE)
    answer = desk.submit(desk.log_in(), "/_cps/admin/end", **fields)
    assert "rien n’a été fermé" in answer.text
    assert set(keys) <= desk.living()
    assert desk.gateway.audit.events == []


def test_whoever_ended_all_sessions_has_to_log_in_again(desk: AdminDesk) -> None:
    desk.let_in(COLLEAGUE)
    browser = desk.log_in()
    desk.submit(browser, "/_cps/admin/end", all="yes", confirmed="yes")
    assert browser.open("/_cps/admin").status_code == 303


# When something is out of order.


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        pytest.param("/_cps/admin/end", {"all": "yes", "confirmed": "yes"}, id="end"),
        pytest.param("/_cps/admin/clear", {"identity": COLLEAGUE.national_id}, id="clear"),
    ],
)
def test_what_cannot_be_recorded_is_not_done(
    desk: AdminDesk, path: str, fields: dict[str, str]
) -> None:
    desk.let_in(COLLEAGUE, TEST_PERSON)
    desk.guard.block(Block(identity=COLLEAGUE.national_id, rule="records", at=NOW))
    browser = desk.log_in()
    before = desk.living()
    desk.gateway.audit.failure = StoreUnavailableError("the disk is full")
    answer = desk.submit(browser, path, **fields)
    assert answer.status_code == 503
    assert desk.living() == before
    assert desk.guard.is_blocked(COLLEAGUE.national_id)


class _Away:
    """A store that answers nothing from some moment on."""

    def __init__(self, store: MemorySessionStore, *, after_look_up: bool) -> None:
        self._store = store
        self._after_look_up = after_look_up

    def get(self, key: bytes, *, now: datetime) -> Session:
        if not self._after_look_up:
            raise StoreUnavailableError("away")
        return self._store.get(key, now=now)

    def living(self, *, now: datetime) -> Iterator[Session]:
        raise StoreUnavailableError("away")


@pytest.fixture(params=[False, True], ids=["at once", "after the look-up"])
def store_goes_away(
    request: pytest.FixtureRequest, desk: AdminDesk, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Take the store away, at the first question or after the session was looked up."""

    def go() -> None:
        away = _Away(desk.gateway.sessions, after_look_up=request.param)
        living = away.living
        if not request.param:
            monkeypatch.setattr(desk.gateway.sessions, "get", away.get)
        monkeypatch.setattr(desk.gateway.sessions, "living", living)

    return go


def test_with_the_store_away_nothing_is_shown_or_done(
    desk: AdminDesk, store_goes_away: Callable[[], None]
) -> None:
    desk.let_in(COLLEAGUE)
    browser = desk.log_in()
    store_goes_away()
    for answer in (
        browser.open("/_cps/admin"),
        desk.submit(browser, "/_cps/admin/end", identity=COLLEAGUE.national_id),
    ):
        assert answer.status_code == 503
        assert "VOISIN" not in answer.text
    assert desk.gateway.audit.events == []


def test_a_store_that_goes_away_meanwhile_is_told_and_the_act_is_recorded(
    desk: AdminDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = desk.let_in(COLLEAGUE, COLLEAGUE)
    browser = desk.log_in()
    ended: list[bytes] = []

    def end_one(key: bytes, reason: EndReason, **_: object) -> bool:
        if ended:
            raise StoreUnavailableError("away")
        ended.append(key)
        return True

    monkeypatch.setattr(desk.gateway.sessions, "end", end_one)
    form = {"identity": COLLEAGUE.national_id, "confirmed": "yes"}
    answer = desk.submit(browser, "/_cps/admin/end", **form)
    assert answer.status_code == 503
    assert "fermées" not in answer.text
    (act,) = desk.gateway.audit.named(ENDED)
    assert act["sessions"] == [session_name(key) for key in keys]


# Whom the guard keeps out.


def test_those_whom_the_guard_keeps_out_are_listed(desk: AdminDesk) -> None:
    assert "Personne n’est bloqué." in desk.log_in().open("/_cps/admin/blocked").text
    desk.guard.block(Block(identity=COLLEAGUE.national_id, rule="records <200>", at=NOW))
    text = desk.log_in().open("/_cps/admin/blocked").text
    for shown in (COLLEAGUE.national_id, "records &lt;200&gt;", "2026-11-23 12:00 UTC"):
        assert shown in text


def test_many_blocks_are_shown_a_page_at_a_time(desk: AdminDesk) -> None:
    for number in range(PAGE_ROWS + 1):
        desk.guard.block(Block(identity=f"8{number:011}", rule="records", at=NOW))
    browser = desk.log_in()
    first = browser.open("/_cps/admin/blocked").text
    assert first.count("Débloquer") == PAGE_ROWS
    assert "page=2" in first
    assert browser.open("/_cps/admin/blocked?page=2").text.count("Débloquer") == 1


def test_somebody_is_let_in_again(desk: AdminDesk) -> None:
    desk.guard.block(Block(identity=COLLEAGUE.national_id, rule="records", at=NOW))
    browser = desk.log_in()
    answer = desk.submit(browser, "/_cps/admin/clear", identity=COLLEAGUE.national_id)
    assert "Personne débloquée" in answer.text
    assert not desk.guard.is_blocked(COLLEAGUE.national_id)
    (act,) = desk.gateway.audit.named("guard_cleared")
    assert act == {**act_of(browser), "national_id": COLLEAGUE.national_id}


@pytest.mark.parametrize("fields", [{}, {"identity": "80"}], ids=["nobody", "not blocked"])
def test_whoever_is_not_blocked_is_not_cleared(desk: AdminDesk, fields: dict[str, str]) -> None:
    answer = desk.submit(desk.log_in(), "/_cps/admin/clear", **fields)
    assert "Personne non bloquée" in answer.text
    assert desk.gateway.audit.events == []


@pytest.fixture(scope="module")
def unguarded(shared_desk: AdminDesk, tmp_path_factory: pytest.TempPathFactory) -> FakedGateway:
    """A gateway without sensitive routes."""
    return make_gateway(tmp_path_factory.mktemp("unguarded"), shared_desk.gateway.settings)


def test_without_sensitive_routes_there_are_no_blocks(unguarded: FakedGateway) -> None:
    unguarded.verifier.decision = ADMINISTRATOR
    browser = unguarded.browser()
    browser.log_in()
    assert "/_cps/admin/blocked" not in browser.open("/_cps/admin").text
    assert browser.open("/_cps/admin/blocked").status_code == 404
    seal = form_seal(browser.session_key())
    answer = browser.submit("/_cps/admin/clear", seal=seal, identity="80")
    assert answer.status_code == 404
