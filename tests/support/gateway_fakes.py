"""A control plane to test: real stores, a clock that the test sets, and a decision it chooses."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cps.authtoken.abort import AbortMessage
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode
from cps.authtoken.jwk import AgentKey
from cps.authtoken.lease import LeaseEvent, LeaseMessage
from cps.authtoken.token import AuthToken, CardDescription
from gateway.database import Database
from gateway.errors import StoreUnavailableError
from gateway.guard.store import GuardStore
from gateway.identity import CardKind, VerifiedIdentity
from gateway.journal.line import FieldValue
from gateway.login.challenge import Challenge
from gateway.login.sqlite import SQLiteChallengeStore
from gateway.notify.notice import LoginNotice
from gateway.session.cookie import LOGIN_COOKIE, SESSION_COOKIE
from gateway.session.memory import MemorySessionStore
from gateway.session.model import EndReason
from gateway.settings import RateSettings, Settings
from gateway.web.app import create_app

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ORIGIN = "https://portal.example"
CLIENT = "192.0.2.7"
CARD = CardDescription(interface="contact", atr=bytes.fromhex("3BAC00402A001225006480000310009000"))

TEST_PERSON = VerifiedIdentity(
    national_id="899900000013",
    family_name="EXEMPLE",
    given_name="CAMILLE",
    profession=10,
    card_type=CardKind.CPS,
    card_number="2899000001",
    organisation=None,
    organisation_id=None,
    certificate_serial="0A1B2C",
    certificate_issuer="cd" * 32,
    certificate_sha256="ab" * 32,
    not_after=1_900_000_000,
)


@dataclass(slots=True)
class FakeClock:
    """A clock that stands until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += timedelta(seconds=seconds)


@dataclass(slots=True)
class FakeVerifier:
    """Decides as it is told to, and keeps what it was asked."""

    decision: VerifiedIdentity | Exception = TEST_PERSON
    asked: list[tuple[AuthToken, Challenge, datetime]] = field(default_factory=list)

    def verify(self, token: AuthToken, challenge: Challenge, *, now: datetime) -> VerifiedIdentity:
        self.asked.append((token, challenge, now))
        if isinstance(self.decision, Exception):
            raise self.decision
        return self.decision


@dataclass(slots=True)
class RecordingAudit:
    """Keeps events; fails like a full disk where it is told to."""

    events: list[tuple[str, Mapping[str, FieldValue]]] = field(default_factory=list)
    failure: StoreUnavailableError | None = None

    def record(self, event: str, /, **fields: FieldValue) -> None:
        if self.failure is not None:
            raise self.failure
        self.events.append((event, fields))

    def named(self, event: str) -> list[Mapping[str, FieldValue]]:
        """Return the fields of every event of that name."""
        return [fields for name, fields in self.events if name == event]


def ended_fields(key: bytes, reason: EndReason) -> Mapping[str, str]:
    """Return the fields of the line about a session of the test person that a request ended now."""
    return {
        "session": key.hex()[:16],
        "national_id": TEST_PERSON.national_id,
        "reason": reason,
        "ended_at": "2026-11-23T12:00:00.000Z",
        "client": CLIENT,
    }


class FakeSigner:
    """Publishes one key that signs nothing."""

    def jwks(self, now: datetime) -> dict[str, object]:
        return {"keys": [{"kty": "EC", "kid": "test"}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakedGateway:
    """The control plane with everything that it was given."""

    app: Flask
    settings: Settings
    clock: FakeClock
    challenges: SQLiteChallengeStore
    sessions: MemorySessionStore
    verifier: FakeVerifier
    audit: RecordingAudit
    notices: list[LoginNotice]
    """Those of logins, in their order."""

    def reset(self) -> None:
        """Go back to the beginning; earlier logins and sessions stay, under other names."""
        self.clock.now = NOW
        self.verifier.decision = TEST_PERSON
        self.verifier.asked.clear()
        self.sessions.record_ends(lambda end: None, now=NOW)
        self.audit.events.clear()
        self.audit.failure = None
        self.notices.clear()

    def browser(self) -> "Browser":
        """Return a browser of its own, without cookies."""
        return Browser(self)

    def post_json(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        """Post *body* as a program does: no cookie, nothing that only browsers send.

        :param headers: besides the content type; the client's address where absent.
        """
        client = self.app.test_client(use_cookies=False)
        sent = {"X-CPS-Client": CLIENT} if headers is None else headers
        sent = {"Content-Type": "application/json", **sent}
        return client.post(path, data=body, headers=sent, base_url=ORIGIN)

    def claim(self, rid: str) -> TestResponse:
        """Claim *rid* as an agent does."""
        return self.post_json("/_cps/agent/claim", claim_body(rid))

    def hand_in(self, rid: str) -> TestResponse:
        """Hand in a token of the right form for *rid*."""
        return self.post_json("/_cps/agent/token", login_token(rid).to_json())

    def give_up(self, rid: str, code: ErrorCode) -> TestResponse:
        """Give *rid* up as the agent that claimed it does."""
        message = AbortMessage.signed(_private_key(), origin=ORIGIN, rid=rid, code=code)
        return self.post_json("/_cps/agent/abort", message.to_json())

    def code_for(self, rid: str) -> str:
        """Do the agent's part for *rid* and return the one-time code."""
        code, _ = self.code_and_lease(rid)
        return code

    def code_and_lease(self, rid: str) -> tuple[str, str]:
        """Do the agent's part for *rid* and return the one-time code and the lease's id."""
        assert self.claim(rid).status_code == 200
        answer = self.hand_in(rid)
        assert answer.status_code == 200, answer.text
        terms = answer.get_json()["lease"]
        return answer.get_json()["code"], "" if terms is None else terms["id"]

    def say(self, lease: str, event: LeaseEvent, counter: int) -> TestResponse:
        """Tell what happened at the card, as an agent does."""
        message = LeaseMessage.signed(
            _private_key(), origin=ORIGIN, lease=lease, counter=counter, event=event
        )
        return self.post_json("/_cps/agent/lease", message.to_json())


class Browser:
    """A browser with its own cookies that opens pages as people do."""

    def __init__(self, gateway: FakedGateway) -> None:
        self.gateway = gateway
        self.client: FlaskClient = gateway.app.test_client()
        self.lease = ""
        """That of the last login."""
        self._counter = 0

    def open(self, path: str, headers: Mapping[str, str] | None = None) -> TestResponse:
        """Open *path* as a top-level navigation."""
        sent = {
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Site": "none",
            "Accept-Language": "fr-FR,fr;q=0.9",
            "X-CPS-Client": CLIENT,
            **(headers or {}),
        }
        # Buffered: else a static file would stay open.
        return self.client.get(path, headers=sent, base_url=ORIGIN, buffered=True)

    def fetch(self, path: str) -> TestResponse:
        """Fetch *path* as our own script does."""
        sent = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "application/json"}
        return self.client.get(path, headers=sent, base_url=ORIGIN)

    def submit(
        self, path: str, headers: Mapping[str, str] | None = None, /, **fields: str
    ) -> TestResponse:
        """Send a form from a page of our own.

        :param headers: instead of those that a browser sends then.
        :param fields: those of the form.
        """
        sent = {
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
            "Sec-Fetch-Site": "same-origin",
            "Origin": "null",
            "X-CPS-Client": CLIENT,
        }
        if headers is not None:
            sent = dict(headers)
        return self.client.post(path, data=fields, headers=sent, base_url=ORIGIN)

    def begin(self, path: str = "/_cps/login") -> str:
        """Open the login page and return its request id."""
        answer = self.open(path)
        assert answer.status_code == 200, answer.text
        found = re.search(r"/v1/login\?r=([A-Za-z0-9_-]{22})&", answer.text)
        assert found is not None
        return found[1]

    def log_in(self) -> TestResponse:
        """Go through a whole login and return the callback's answer."""
        code, self.lease = self.gateway.code_and_lease(self.begin())
        answer = self.open(f"/_cps/callback?code={code}")
        assert answer.status_code == 303, answer.text
        return answer

    def say(self, event: LeaseEvent) -> TestResponse:
        """Have this workstation's agent tell what happened at the card."""
        self._counter += 1
        return self.gateway.say(self.lease, event, self._counter)

    def cookie(self, name: str) -> bytes | None:
        """Return the bytes of one of our cookies."""
        found = self.client.get_cookie(name, domain="portal.example")
        return None if found is None else b64url_decode(found.value)

    def session_key(self) -> bytes:
        """Return the key of this browser's session."""
        cookie = self.cookie(SESSION_COOKIE)
        assert cookie is not None
        return hashlib.sha256(cookie).digest()

    def login_hash(self) -> bytes:
        """Return the hash of this browser's pre-session cookie."""
        cookie = self.cookie(LOGIN_COOKIE)
        assert cookie is not None
        return hashlib.sha256(cookie).digest()


def make_settings(
    folder: Path,
    *,
    origin: str = ORIGIN,
    environment: str = "production",
    rate: Mapping[str, int] | None = None,
) -> Settings:
    """Return settings whose files are not looked at."""
    return Settings.model_validate(
        {
            "environment": environment,
            "state_dir": str(folder),
            "portal": {
                "origin": origin,
                "upstream": "http://127.0.0.1:9",
                "label": "Portail <d'essai>",
            },
            "trust": {"anchors": ["root"], "intermediates": ["middle"], "crls": ["list"]},
            # The clock of these tests stands, so one minute holds all of them.
            "rate": rate or dict.fromkeys(RateSettings.model_fields, 1_000_000),
        }
    )


def make_gateway(
    folder: Path, settings: Settings | None = None, guard: GuardStore | None = None
) -> FakedGateway:
    """Return a control plane whose database lies in *folder*.

    :param guard: who is kept out; default: no route is sensitive.
    """
    settings = settings or make_settings(folder)
    clock, verifier, audit = FakeClock(), FakeVerifier(), RecordingAudit()
    challenges = SQLiteChallengeStore(Database(folder / "gateway.db"), settings.login)
    sessions = MemorySessionStore(settings.session)
    notices: list[LoginNotice] = []
    app = create_app(
        settings=settings,
        clock=clock,
        challenges=challenges,
        sessions=sessions,
        verifier=verifier,
        audit=audit,
        signer=FakeSigner(),
        tell_login=notices.append,
        guard=guard,
    )
    return FakedGateway(
        app=app,
        settings=settings,
        clock=clock,
        challenges=challenges,
        sessions=sessions,
        verifier=verifier,
        audit=audit,
        notices=notices,
    )


def agent_key() -> AgentKey:
    """Return the agent's public key."""
    return AgentKey.of(_private_key().public_key())


@cache
def _private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def claim_members(rid: str) -> dict[str, object]:
    """Return the members of a good claim of *rid*."""
    return {
        "v": 1,
        "rid": rid,
        "jwk": agent_key().to_json(),
        "agent": {"name": "cps-agent", "version": "0.1.0", "os": "Linux"},
    }


def claim_body(rid: str, /, **changes: object) -> bytes:
    """Return a claim of *rid*, good but for the *changes*."""
    return json.dumps({**claim_members(rid), **changes}).encode()


def login_token(rid: str) -> AuthToken:
    """Return a token of the right form for *rid*, whose bytes the fake verifier never reads."""
    return AuthToken(
        rid=rid,
        unverified_certificate=b"\x30\x00",
        algorithm="RS256",
        signature=bytes(256),
        card=CARD,
        agent_version="0.1.0",
    )
