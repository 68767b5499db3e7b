"""The whole line in one process: card, agent, gateway with real stores and TLS, echoing portal.

Everything is the real thing but four: the card is software, the person is a list of PINs, the
browser is :class:`tests.support.browser.Browser`, and one clock stands until a test moves it.
"""

import json
import sqlite3
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from cps.agent.gateway_client import Accepted, Claim, GatewayClient
from cps.agent.pages import Pages
from cps.agent.pin_entry import PINEntry
from cps.agent.presence import CardLease, LeaseGateway, Presence
from cps.agent.signin import Gateway, SignIn
from cps.agent.workflow import WorkflowLimits
from cps.authtoken.abort import AbortMessage
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import AuthToken
from cps.card.cache import CardCache
from cps.card.recognise import open_card
from cps.issuer.hierarchy import Hierarchy
from cps.simulator.chip import SoftwareCard
from cps.simulator.image import CardImage
from gateway.assertion import AssertionSigner
from gateway.audit import open_audit
from gateway.clock import Clock, system_clock
from gateway.edge.watch import Watch
from gateway.login.challenge import ChallengeState
from gateway.serve.control import build_app
from gateway.serve.places import Places
from gateway.serve.watch import open_watch
from gateway.session.model import SessionStore
from gateway.settings import RateSettings, Settings
from gateway.stores import DATABASE_FILE, Stores, open_stores
from gateway.trust.store import Environment
from tests.support import cards, pki
from tests.support.browser import Browser, Page, exchange
from tests.support.gateway_fakes import FakeClock
from tests.support.meddling import MeddledTerminal
from tests.support.person import Person
from tests.support.relay import RawServer, echo, running_relay
from tests.support.serving import free_port
from tests.support.trust import key_usage
from tests.unit.cps.agent.loopback import running_agent

REVOKED_SERIAL = 0x666
"""A certificate with this serial number is in the usual list of the intermediate."""
LABEL = "Portail d’essai"
CLAIM = "/_cps/agent/claim"
TOKEN = "/_cps/agent/token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A workstation: its agent listens on *port*."""

    port: int
    image: CardImage
    """The card that is in the reader at first."""
    terminal: MeddledTerminal
    entry: PINEntry
    presence: Presence

    @property
    def tries_left(self) -> int:
        """How many wrong PINs the card still takes."""
        return self.image.reference_data[0].tries_left


@dataclass(slots=True, kw_only=True)
class Line:
    """A gateway in front of a portal that answers each request with what it got."""

    settings: Settings
    clock: FakeClock
    tls: ssl.SSLContext
    """Trusts the gateway's own certificate."""
    portal: RawServer
    nonces: list[bytes] = field(default_factory=list)
    """Every nonce that an agent was given."""
    codes: list[str] = field(default_factory=list)
    """Every one-time code that an agent was given."""

    @property
    def origin(self) -> str:
        return self.settings.portal.origin

    @property
    def database(self) -> Path:
        return self.settings.state_dir / DATABASE_FILE

    def browser(self, *, language: str = "fr", keeps_cookies: bool = True) -> Browser:
        """Return a browser of its own, without cookies."""
        return Browser(self.origin, tls=self.tls, language=language, keeps_cookies=keeps_cookies)

    @contextmanager
    def desk(
        self,
        image: CardImage | None = None,
        *,
        terminal: MeddledTerminal | None = None,
        entry: PINEntry | None = None,
        gateway_at: Callable[[str], Gateway] | None = None,
        limits: WorkflowLimits | None = None,
        banners: tuple[str, ...] = (),
        watched: bool = False,
        lease_gateway_at: Callable[[str], LeaseGateway] | None = None,
        cache: CardCache | None = None,
    ) -> Iterator[Desk]:
        """Run an agent with a card in its reader and a person who knows the PIN.

        :param terminal: instead of one with a card that is *image*, read by honest hands.
        :param gateway_at: instead of the real client of the gateway.
        :param watched: whether the agent watches the card of each session; else it is as if it
            was killed after the login.
        :param lease_gateway_at: where it tells of the card, instead of the real client.
        :param cache: where the agent remembers cards, if it does.
        """
        image = image or cards.image()
        terminal = terminal or MeddledTerminal(SoftwareCard(image))
        entry = entry or Person()
        presence = Presence(
            terminal=terminal,
            gateway_at=lease_gateway_at or self.client_at,
        )
        sign_in = SignIn(
            terminal=terminal,
            open_card=partial(open_card, cache=cache),
            entry=entry,
            gateway_at=gateway_at or self.gateway_at,
            watch=presence.watch if watched else _look_away,
            clock=lambda: self.clock().timestamp(),
        )
        with running_agent(
            sign_in.run,
            workflow=limits or WorkflowLimits(),
            portals=(self.origin,),
            pages=Pages(banners),
        ) as agent:
            desk = Desk(
                port=agent.port, image=image, terminal=terminal, entry=entry, presence=presence
            )
            with closing(presence):
                yield desk

    def gateway_at(self, origin: str) -> Gateway:
        """Return the agent's real way to the gateway; what it brings is noted as a secret."""
        return _NotedGateway(self.client_at(origin), self)

    def client_at(self, origin: str) -> GatewayClient:
        """Return the agent's real way to the gateway."""
        return GatewayClient(origin, tls=self.tls)

    def log_in(self, browser: Browser, desk: Desk, target: str = "/") -> Page:
        """Go the whole way and return what the portal answers."""
        login = browser.follow(browser.open(target))
        back = browser.to_agent(login, desk.port)
        page = browser.follow(browser.follow(back))
        assert page.status == 200, page.text
        return page

    def post(
        self,
        path: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        fields: Mapping[str, str] | None = None,
    ) -> Page:
        """Send *body* as a program does."""
        sent = {"Content-Type": content_type, **(fields or {})}
        return exchange("POST", self.origin + path, sent, body, tls=self.tls)

    def audit(self, event: str) -> list[dict[str, object]]:
        """Return what the audit log has of *event*, in order."""
        lines = (self.settings.state_dir / "audit.jsonl").read_text("utf-8").splitlines()
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def refusal(self, incident: str) -> str:
        """Return the code that the audit log has under an incident's number."""
        return str(
            *(entry["reason"] for entry in self.audit("login_refused") if entry["ref"] == incident)
        )

    def session_count(self) -> int:
        """Return how many sessions are open."""
        count = self._ask("SELECT count(*) FROM sessions")
        assert isinstance(count, int)
        return count

    def state(self, rid: str) -> ChallengeState:
        """Return how far the gateway thinks a login is."""
        return ChallengeState(str(self._ask("SELECT state FROM challenges WHERE rid = ?", rid)))

    @contextmanager
    def nobody_gets_in(self) -> Iterator[None]:
        """Check that no session comes about meanwhile, and that none is recorded."""
        sessions, started = self.session_count(), len(self.audit("session_started"))
        yield
        # Fewer there may be: the gateway ends those that are over by itself.
        assert self.session_count() <= sessions
        assert len(self.audit("session_started")) == started

    def require_dead(self, rid: str) -> None:
        """Check that nothing can be done with a request id any more."""
        assert self.state(rid) is ChallengeState.FAILED

    def _ask(self, question: str, *values: str) -> object:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            (row,) = connection.execute(question, values).fetchall()
            return row[0]


def _look_away(lease: CardLease) -> None:
    """Watch no card."""


class _NotedGateway:
    """The agent's exchanges, with a note of each secret that they bring."""

    def __init__(self, client: GatewayClient, line: Line) -> None:
        self._client = client
        self._line = line

    def claim(self, rid: str, key: AgentKey) -> Claim:
        claim = self._client.claim(rid, key)
        self._line.nonces.append(claim.nonce)
        return claim

    def begin(self, key: AgentKey) -> tuple[str, Claim]:
        rid, claim = self._client.begin(key)
        self._line.nonces.append(claim.nonce)
        return rid, claim

    def hand_in(self, token: AuthToken) -> Accepted:
        accepted = self._client.hand_in(token)
        self._line.codes.append(accepted.code)
        return accepted

    def give_up(self, message: AbortMessage) -> None:
        self._client.give_up(message)


@contextmanager
def running_line(
    folder: Path,
    *,
    environment: Environment = "test",
    hierarchy: Hierarchy | None = None,
    lists: Mapping[str, bytes] | None = None,
    upstream: str | None = None,
    port: int | None = None,
    **tables: Mapping[str, object],
) -> Iterator[Line]:
    """Run a gateway until the block ends.

    In a folder and on a port where one ran before, it goes on where that one ended.

    :param hierarchy: whose cards are let in; ours where absent.
    :param lists: name of file to revocation list; good ones of root and intermediate where absent.
    :param upstream: the portal's address, instead of one that echoes.
    :param port: where browsers find it; any free one where absent.
    :param tables: further tables of the settings.
    """
    clock, portal = FakeClock(pki.NOW), RawServer(echo)
    certificate, key = _server_certificate(folder)
    with portal.on_port() as echoing:
        settings = _settings(
            folder,
            upstream or echoing,
            hierarchy or pki.hierarchy(),
            lists,
            {"environment": environment, **tables},
            listen={
                "port": port or free_port(),
                "tls_certificate": str(certificate),
                "tls_key": str(key),
            },
        )
        places = Places.of(settings)
        signer = AssertionSigner.load_or_create(
            places.assertion_key, settings.portal.origin, settings.portal.audience
        )
        with (
            _served(build_app(settings, clock=clock), places.control_socket),
            # Stores and key of its own, as it is another process in the real gateway.
            closing(open_stores(settings)) as stores,
            running_relay(
                settings,
                places.control_socket,
                stores.sessions,
                clock=clock,
                signer=signer,
                open_watch=partial(_watch, settings, stores, clock),
            ),
        ):
            tls = ssl.create_default_context(cafile=str(certificate))
            yield Line(settings=settings, clock=clock, tls=tls, portal=portal)


def _watch(
    settings: Settings, stores: Stores, clock: Clock, sessions: SessionStore
) -> Watch | None:
    return open_watch(
        settings,
        sessions=sessions,
        open_guard=stores.open_guard,
        audit=open_audit(settings, clock),
        clock=clock,
    )


def usual_lists(hierarchy: Hierarchy | None = None) -> dict[str, bytes]:
    """Return good revocation lists of both authorities."""
    ours = hierarchy or pki.hierarchy()
    revoked = pki.leaf(serial=REVOKED_SERIAL, issuer=ours.intermediate)
    return {
        "root.crl": pki.der(pki.crl(issuer=ours.root)),
        "middle.crl": pki.der(pki.crl(revoked, issuer=ours.intermediate)),
    }


def _settings(
    folder: Path,
    upstream: str,
    hierarchy: Hierarchy,
    lists: Mapping[str, bytes] | None,
    tables: Mapping[str, object],
    listen: Mapping[str, object],
) -> Settings:
    lists = usual_lists(hierarchy) if lists is None else lists
    authorities = {"root.pem": hierarchy.root, "middle.pem": hierarchy.intermediate}
    for name, authority in authorities.items():
        (folder / name).write_bytes(pki.pem(authority.certificate))
    for name, content in lists.items():
        (folder / name).write_bytes(content)
    state = folder / "state"
    state.mkdir(mode=0o700, exist_ok=True)
    # Made by the first decision; a test may look before that.
    (state / "audit.jsonl").touch(mode=0o600)
    return Settings.model_validate(
        {
            "state_dir": str(state),
            "portal": {
                "origin": f"https://localhost:{listen['port']}",
                "upstream": upstream,
                "label": LABEL,
            },
            "trust": {
                "anchors": ["root.pem"],
                "intermediates": ["middle.pem"],
                "crls": list(lists),
            },
            "audit": {"file": str(state / "audit.jsonl")},
            # The clock of these tests stands, so one minute holds all of them.
            "rate": dict.fromkeys(RateSettings.model_fields, 1_000_000),
            **tables,
            "listen": listen,
        },
        context={"folder": folder},
    )


class _QuietHandler(WSGIRequestHandler):
    """As in the real gateway, no access log: request lines hold codes."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


@contextmanager
def _served(app: Flask, socket: Path) -> Iterator[None]:
    """Serve the control plane on its Unix socket, with a thread for each connection."""
    server = make_server(f"unix://{socket}", 0, app, threaded=True, request_handler=_QuietHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _server_certificate(folder: Path) -> tuple[Path, Path]:
    """Return files with a certificate for localhost, good by the real clock, and with its key."""
    certificate_file, key_file = folder / "tls.pem", folder / "tls.key"
    if key_file.exists():
        return certificate_file, key_file
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    now = system_clock()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage("digital_signature", "key_cert_sign"), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file.write_bytes(pki.pem(certificate))
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_file, key_file
