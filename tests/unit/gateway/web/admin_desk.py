"""A gateway with one administrator, for the tests of the administrators' page."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from werkzeug.test import TestResponse

from gateway.database import Database
from gateway.guard.sqlite import SCHEMA, SQLiteGuardStore
from gateway.identity import VerifiedIdentity
from gateway.session.cookie import cookie_hash
from gateway.session.model import EndReason
from gateway.settings_admin import AdminSettings
from gateway.web.admin_access import form_seal
from tests.support.gateway_fakes import (
    NOW,
    TEST_PERSON,
    Browser,
    FakedGateway,
    agent_key,
    make_gateway,
    make_settings,
)

ADMINISTRATOR = replace(
    TEST_PERSON,
    national_id="899900000021",
    family_name="GARDE",
    given_name="NORA",
    card_number="2899000007",
)
OTHER_CARD = replace(TEST_PERSON, card_number="2899000002")
COLLEAGUE = replace(
    TEST_PERSON, national_id="899900000039", family_name="VOISIN", card_number="2899000009"
)
FRESH_SECONDS = 300
"""The default of ``admin.fresh``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminDesk:
    """A gateway with an administrator in its settings, and whom its guard keeps out."""

    gateway: FakedGateway
    guard: SQLiteGuardStore

    def reset(self) -> None:
        """Go back to the beginning, with nobody in and nobody blocked."""
        self.gateway.clock.now = NOW
        for key in self.living():
            self.gateway.sessions.end(key, EndReason.LOGOUT, now=NOW)
        for block in self.guard.blocks():
            self.guard.clear(block.identity)
        self.gateway.reset()

    def log_in(self, person: VerifiedIdentity = ADMINISTRATOR) -> Browser:
        """Return the browser of somebody who went through a whole login now."""
        self.gateway.verifier.decision = person
        browser = self.gateway.browser()
        browser.log_in()
        self.gateway.audit.events.clear()
        return browser

    def submit(
        self, browser: Browser, path: str, headers: Mapping[str, str] | None = None, /, **form: str
    ) -> TestResponse:
        """Send a form as it stands in a page that *browser* was shown.

        :param headers: instead of those that a browser sends then.
        """
        return browser.submit(path, headers, seal=form_seal(browser.session_key()), **form)

    def let_in(self, *people: VerifiedIdentity) -> list[bytes]:
        """Make a session for each person and return their keys."""
        now = self.gateway.clock()
        return [
            cookie_hash(self.gateway.sessions.create(person, agent_key(), now=now))
            for person in people
        ]

    def living(self) -> set[bytes]:
        """Return the keys of the sessions that are alive."""
        return {each.key for each in self.gateway.sessions.living(now=self.gateway.clock())}


def make_desk(folder: Path) -> AdminDesk:
    """Return a desk whose databases lie in *folder*."""
    settings = make_settings(folder).model_copy(
        update={"admin": AdminSettings(identities=(ADMINISTRATOR.national_id,))}
    )
    guard = SQLiteGuardStore(Database(folder / "guard.db", schema=SCHEMA))
    return AdminDesk(gateway=make_gateway(folder, settings, guard), guard=guard)
