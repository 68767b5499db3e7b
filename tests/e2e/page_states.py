"""Every state in which a person can see a page of ours, and how a browser is brought there."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

from aiohttp import web
from playwright.sync_api import Browser, BrowserContext, Page, Route

from cps.agent.checks import Refusal, RefusedRequestError
from cps.agent.pages import Failure, Pages
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode
from gateway.guard.store import Block
from gateway.identity import VerifiedIdentity
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE, cookie_hash
from gateway.session.model import EndReason
from gateway.session.recorder import session_name
from gateway.stores import Stores, open_stores
from tests.support.line import Line
from tests.support.logins import DOCTOR, EMPLOYEE, agent_key

AGENT = "http://127.0.0.1:24951"
LATE = {"timeout": 20_000}
ADMINISTRATOR = replace(DOCTOR, national_id="899990000024", family_name="GARDE", given_name="NORA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A browser in front of a gateway, and the gateway's stores to move its logins by."""

    line: Line
    stores: Stores
    context: BrowserContext
    page: Page

    def open(self, path: str) -> None:
        """Open a page of the portal's address."""
        self.page.goto(self.line.origin + path)

    def begin(self) -> str:
        """Open the login page and return its request id."""
        self.open("/_cps/login")
        link = self.page.locator("[data-agent]").first.get_attribute("href")
        assert link is not None
        return link.partition("r=")[2][:22]

    def click(self) -> None:
        """Click the button; what opens in the other tab is not looked at."""
        with self.context.expect_page() as opened:
            self.page.locator("[data-agent]").first.click()
        opened.value.close()

    def shows(self, state: str) -> None:
        """Wait until the login page shows *state*."""
        words = self.page.locator(f'[role=status] [data-states~="{state}"]')
        words.wait_for(state="visible", timeout=LATE["timeout"])

    def have_session(self, person: VerifiedIdentity = DOCTOR) -> bytes:
        """Log this browser in and return the session's key."""
        cookie = self.stores.sessions.create(person, agent_key(), now=self.line.clock())
        self.context.add_cookies(
            [{"name": SESSION_COOKIE, "value": b64url_encode(cookie), "url": self.line.origin}]
        )
        return cookie_hash(cookie)

    def administrate(self, path: str = "/_cps/admin") -> bytes:
        """Open a page of the administrators' and return the key of somebody else's session."""
        now = self.line.clock()
        for each in list(self.stores.sessions.living(now=now)):
            self.stores.sessions.end(each.key, EndReason.LOGOUT, now=now)
        for minutes, person in enumerate((DOCTOR, EMPLOYEE, DOCTOR), start=5):
            since = now - timedelta(minutes=30 - minutes)
            key = cookie_hash(self.stores.sessions.create(person, agent_key(), now=since))
        self.have_session(ADMINISTRATOR)
        self.open(path)
        return key

    def send(self) -> None:
        """Send the form that ends something."""
        self.page.locator(".danger").click()
        self.page.wait_for_load_state()

    def claim(self, rid: str) -> None:
        """Claim a login as an agent does."""
        self.stores.challenges.claim(rid, agent_key(), now=self.line.clock())

    def verify(self, rid: str) -> str:
        """Bring a login to its one-time code."""
        self.claim(rid)
        self.stores.challenges.take(rid, now=self.line.clock())
        return self.stores.challenges.complete(rid, DOCTOR, now=self.line.clock())

    def start_code(self) -> str:
        """Bring a login that an agent began to its code, as if it was the person's own."""
        rid = self.stores.challenges.begin(agent_key(), now=self.line.clock()).rid
        self.stores.challenges.take(rid, now=self.line.clock())
        return self.stores.challenges.complete(rid, DOCTOR, now=self.line.clock())

    def agent_says(self, answer: web.Response) -> None:
        """Show a page of the agent's, with its headers."""

        def fulfil(route: Route) -> None:
            route.fulfill(status=answer.status, headers=dict(answer.headers), body=answer.text)

        self.context.route(f"{AGENT}/**", fulfil)
        self.page.goto(f"{AGENT}/v1/login")


def login(desk: Desk) -> None:
    desk.begin()


def login_ended(desk: Desk) -> None:
    key = desk.have_session()
    desk.stores.sessions.end(key, EndReason.CARD_REMOVED, now=desk.line.clock())
    desk.begin()


def login_known(desk: Desk) -> None:
    desk.have_session()
    desk.begin()


def login_waiting(desk: Desk) -> None:
    desk.begin()
    desk.click()
    desk.shows("clicked")


def login_missing(desk: Desk) -> None:
    desk.begin()
    desk.click()
    desk.shows("missing")


def login_claimed(desk: Desk) -> None:
    rid = desk.begin()
    desk.click()
    desk.claim(rid)
    desk.shows("claimed")


def login_taken(desk: Desk) -> None:
    rid = desk.begin()
    desk.claim(rid)
    desk.stores.challenges.take(rid, now=desk.line.clock())
    desk.shows("taken")


def login_verified(desk: Desk) -> None:
    desk.verify(desk.begin())
    desk.shows("verified")


def login_used(desk: Desk) -> None:
    code = desk.verify(desk.begin())
    desk.context.request.get(
        f"{desk.line.origin}/_cps/callback?code={code}",
        headers={"Sec-Fetch-Dest": "document"},
        max_redirects=0,
    )
    desk.shows("used")


def login_failed(desk: Desk) -> None:
    rid = desk.begin()
    desk.claim(rid)
    desk.stores.challenges.fail(rid, ErrorCode.PIN_BLOCKED)
    desk.shows("failed")


def login_expired(desk: Desk) -> None:
    desk.begin()
    desk.line.clock.advance(200)
    desk.shows("expired")


def login_no_cookie(desk: Desk) -> None:
    desk.begin()
    desk.context.clear_cookies(name=LOGIN_COOKIE)
    desk.shows("no_cookie")


def session(desk: Desk) -> None:
    desk.have_session()
    desk.open("/_cps/session")


def session_ends_soon(desk: Desk) -> None:
    desk.page.clock.install()
    session(desk)
    desk.page.clock.fast_forward(3400 * 1000)
    desk.page.locator("[data-when=soon]").wait_for(state="visible")


def session_over(desk: Desk) -> None:
    desk.page.clock.install()
    session(desk)
    desk.page.clock.fast_forward(3601 * 1000)
    desk.page.locator("[data-when=over]").wait_for(state="visible")


def logout(desk: Desk) -> None:
    desk.have_session()
    desk.open("/_cps/logout")


def logged_out(desk: Desk) -> None:
    logout(desk)
    desk.page.locator("form .button").first.click()
    desk.page.wait_for_load_state()


def admin(desk: Desk) -> None:
    desk.administrate()


def admin_search(desk: Desk) -> None:
    desk.administrate(f"/_cps/admin?identity={DOCTOR.national_id}")


def admin_session(desk: Desk) -> None:
    key = desk.administrate()
    desk.open(f"/_cps/admin/session/{session_name(key)}")


def admin_confirm(desk: Desk) -> None:
    desk.administrate()
    desk.send()


def admin_ended(desk: Desk) -> None:
    admin_session(desk)
    desk.send()


def admin_gone(desk: Desk) -> None:
    key = desk.administrate()
    desk.open(f"/_cps/admin/session/{session_name(key)}")
    desk.stores.sessions.end(key, EndReason.LOGOUT, now=desk.line.clock())
    desk.send()


def admin_stale(desk: Desk) -> None:
    desk.administrate()
    desk.line.clock.advance(400)
    desk.send()


def admin_blocked(desk: Desk) -> None:
    guard = desk.stores.open_guard()
    rule = "records identity 200 hour block"
    guard.block(Block(identity=DOCTOR.national_id, rule=rule, at=desk.line.clock()))
    desk.administrate("/_cps/admin/blocked")


def admin_cleared(desk: Desk) -> None:
    admin_blocked(desk)
    desk.page.locator("form .button").click()
    desk.page.wait_for_load_state()


def callback_refused(desk: Desk) -> None:
    desk.open(f"/_cps/callback?code={'A' * 43}")


def start_nothing(desk: Desk) -> None:
    desk.open("/_cps/start")
    desk.page.locator("#nothing").wait_for(state="visible")


def start_question(desk: Desk) -> None:
    desk.have_session()
    desk.open(f"/_cps/start#{desk.start_code()}")
    desk.page.locator("button[value=yes]").wait_for(state="visible")


def start_declined(desk: Desk) -> None:
    start_question(desk)
    desk.page.locator("button[value=no]").click()
    desk.page.wait_for_url("**/answer")


def diagnostics(desk: Desk) -> None:
    desk.open("/_cps/diag")
    desk.page.locator("#copy").wait_for(state="visible")


def edge_not_found(desk: Desk) -> None:
    desk.open("/_cps/internal/enter")


def edge_portal_away(desk: Desk) -> None:
    desk.have_session()
    desk.open("/away")


def agent_card(desk: Desk) -> None:
    desk.agent_says(_still(Pages().waiting("card", "fr")))


def agent_pin(desk: Desk) -> None:
    desk.agent_says(_still(Pages().waiting("pin", "fr")))


def agent_failed(desk: Desk) -> None:
    failure = Failure(code=ErrorCode.CERT_EXPIRED, incident="4f07-b3e1")
    desk.agent_says(Pages().failed(failure, desk.line.origin, "fr"))


def agent_refused(desk: Desk) -> None:
    pages = Pages(("agent_page.development", "agent_page.virtual"))
    desk.agent_says(pages.refused(RefusedRequestError(Refusal.PORTAL), "fr"))


def _still(answer: web.Response) -> web.Response:
    """Return a page that does not ask again while it is looked at."""
    assert answer.text is not None
    answer.text = answer.text.replace('http-equiv="refresh" content="1"', 'name="was-refresh"')
    return answer


STATES: Mapping[str, Callable[[Desk], None]] = MappingProxyType(
    {
        step.__name__.replace("_", "-"): step
        for step in (
            login, login_ended, login_known, login_waiting, login_missing, login_claimed,
            login_taken, login_verified, login_used, login_failed, login_expired, login_no_cookie,
            admin, admin_search, admin_session, admin_confirm, admin_ended, admin_gone, admin_stale,
            admin_blocked, admin_cleared,
            session, session_ends_soon, session_over, logout, logged_out, callback_refused,
            start_nothing, start_question, start_declined,
            diagnostics, edge_not_found, edge_portal_away, agent_card, agent_pin, agent_failed,
            agent_refused,
        )
    }
)  # fmt: skip
"""Name of a state to what brings a browser there."""


@contextmanager
def desk_at(line: Line, browser: Browser, **options: object) -> Iterator[Desk]:
    """Yield a browser without a past in front of *line*.

    :param options: of Playwright's ``new_context``.
    """
    settings = {"locale": "fr-FR", "ignore_https_errors": True, "timezone_id": "Europe/Paris"}
    context = browser.new_context(**{**settings, **options})  # type: ignore[arg-type]
    # What is not on this computer is nobody's to ask, an agent that may be running here neither.
    context.route(f"{AGENT}/**", lambda route: route.abort("connectionrefused"))
    now = line.clock.now
    try:
        with closing(open_stores(line.settings)) as stores:
            yield Desk(line=line, stores=stores, context=context, page=context.new_page())
    finally:
        context.close()
        line.clock.now = now
