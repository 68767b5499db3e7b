"""What the agent asks: claim a login or begin one, hand in what the card signed, keep the lease."""

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from flask import Blueprint, Response, g, jsonify

from cps.authtoken.abort import MAX_ABORT_MESSAGE_BYTES, AbortMessage
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_encode, parse_object
from cps.authtoken.lease import MAX_LEASE_MESSAGE_BYTES, LeaseMessage
from cps.authtoken.token import ALGORITHMS, AuthToken, require_rid
from gateway.errors import LoginRejectedError
from gateway.identity import VerifiedIdentity
from gateway.login.challenge import Challenge
from gateway.session.lease import LeaseDesk
from gateway.session.recorder import record_ends
from gateway.web.claim import (
    BEGIN_MEMBERS,
    CLAIM_MEMBERS,
    MAX_CLAIM_BYTES,
    PROTOCOL_VERSION,
    Claim,
    Introduction,
    version_numbers,
)
from gateway.web.failures import explain
from gateway.web.inbound import client_address, read_body, read_members, require_program
from gateway.web.parts import Parts

_T = TypeVar("_T")


def agent_api(parts: Parts) -> Blueprint:
    """Return the requests of the agent; no browser and no cookie has a part in them.

    Source: docs/reference/protocol.md, "Agent to gateway", "A login that begins in the agent",
    "A login given up" and "The lease".
    """
    api = Blueprint("agent", __name__, url_prefix="/_cps/agent")
    desk = LeaseDesk(
        parts.sessions, origin=parts.settings.portal.origin, settings=parts.settings.presence
    )
    api.before_request(require_program)

    @api.post("/claim")
    def claim() -> Response:
        """Bind the agent's key to the login and hand out the nonce, once (steps 4 and 5)."""
        asked = _read(Claim.from_members, CLAIM_MEMBERS)
        # The time counts from when the whole body is here, however slowly it came.
        now = parts.clock()
        g.rid = asked.rid
        # Before the claim, so that an updated agent can still claim this login.
        _require_new_enough(parts, asked.agent)
        challenge = parts.challenges.claim(asked.rid, asked.agent.agent_key, now=now)
        _record_claimed(parts, "login_claimed", challenge, asked.agent)
        return jsonify(_claim_answer(parts, challenge, now))

    if parts.settings.login.from_agent:

        @api.post("/begin")
        def begin() -> Response:
            """Begin a login in no browser, claimed by the key that begins it."""
            asked = _read(Introduction.from_members, BEGIN_MEMBERS)
            now = parts.clock()
            _require_new_enough(parts, asked)
            challenge = parts.challenges.begin(asked.agent_key, now=now)
            g.rid = challenge.rid
            _record_claimed(parts, "login_begun", challenge, asked)
            return jsonify({"rid": challenge.rid, **_claim_answer(parts, challenge, now)})

    @api.post("/token")
    def token() -> Response:
        """Decide on the login; whatever fails here ends it for good (steps 8 and 9)."""
        max_bytes = parts.settings.login.token_bytes
        raw = read_body(max_bytes=max_bytes)
        g.evidence = {"token_sha256": hashlib.sha256(raw).hexdigest()}
        try:
            sent = AuthToken.parse(raw, max_bytes=max_bytes)
        except ValueError as exc:
            _fail_named_login(parts, raw)
            raise LoginRejectedError(ErrorCode.TOKEN_MALFORMED, str(exc)) from exc
        g.rid = sent.rid
        certificate = hashlib.sha256(sent.unverified_certificate).hexdigest()
        g.evidence["certificate_sha256"] = certificate
        now = parts.clock()
        challenge = parts.challenges.take(sent.rid, now=now)
        try:
            identity = parts.verifier.verify(sent, challenge, now=now)
            granted = desk.grant(challenge.agent_key, now=now)
            code = parts.challenges.complete(sent.rid, identity, lease=granted, now=now)
            _record_accepted(parts, sent, identity)
        except Exception as exc:
            parts.challenges.fail(sent.rid, explain(exc).code)
            raise
        return jsonify({"code": code, "lease": desk.terms(granted)})

    @api.post("/abort")
    def abort() -> Response:
        """End the login whose card or person said no, for the reason that its claimant gives."""
        raw = read_body(max_bytes=MAX_ABORT_MESSAGE_BYTES)
        try:
            message = AbortMessage.parse(raw)
        except ValueError as exc:
            raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, str(exc)) from exc
        g.rid = message.rid
        claimant = parts.challenges.claimant(message.rid)
        if claimant is None:
            raise LoginRejectedError(ErrorCode.RID_UNKNOWN, "no login that waits for a token")
        try:
            message.require_signed_by(claimant, origin=parts.settings.portal.origin)
        except ValueError as exc:
            raise LoginRejectedError(ErrorCode.SIG_INVALID, str(exc)) from exc
        parts.challenges.abort(message.rid, claimant, message.code, now=parts.clock())
        parts.audit.record(
            "login_aborted", rid=message.rid, reason=message.code, client=client_address()
        )
        return jsonify({"ended": True})

    @api.post("/lease")
    def lease() -> Response:
        """Keep the session of a card that is there, end that of a card that is not (step 12)."""
        raw = read_body(max_bytes=MAX_LEASE_MESSAGE_BYTES)
        try:
            message = LeaseMessage.parse(raw)
        except ValueError as exc:
            raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, str(exc)) from exc
        now = parts.clock()
        heard = desk.hear(message, now=now, client=client_address())
        if heard.ended is not None:
            record_ends(parts.sessions, parts.audit, now=now)
        return jsonify({"alive": heard.alive})

    return api


def _read(from_members: Callable[[Mapping[str, object]], _T], names: frozenset[str]) -> _T:
    members = read_members(names, max_bytes=MAX_CLAIM_BYTES)
    try:
        return from_members(members)
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, str(exc)) from exc


def _require_new_enough(parts: Parts, agent: Introduction) -> None:
    minimum = parts.settings.login.min_agent
    if version_numbers(agent.version) < version_numbers(minimum):
        raise LoginRejectedError(
            ErrorCode.AGENT_TOO_OLD, f"version {agent.version}, wanted {minimum}"
        )


def _record_claimed(parts: Parts, event: str, challenge: Challenge, agent: Introduction) -> None:
    parts.audit.record(
        event,
        rid=challenge.rid,
        agent=agent.name,
        agent_version=agent.version,
        system=agent.system,
        client=client_address(),
    )


def _claim_answer(parts: Parts, challenge: Challenge, now: datetime) -> dict[str, object]:
    return {
        "v": PROTOCOL_VERSION,
        "nonce": b64url_encode(challenge.nonce),
        "origin": parts.settings.portal.origin,
        "label": parts.settings.portal.label,
        "alg": sorted(ALGORITHMS),
        "expires_in": max(0, int((challenge.expires_at - now).total_seconds())),
        "min_agent": parts.settings.login.min_agent,
    }


def _fail_named_login(parts: Parts, raw: bytes) -> None:
    """End the login that a malformed token names, if it names one."""
    try:
        members = parse_object(raw, max_bytes=parts.settings.login.token_bytes)
        rid = require_rid(str(members.get("rid")))
    except ValueError:
        return
    g.rid = rid
    parts.challenges.fail(rid, ErrorCode.TOKEN_MALFORMED)


def _record_accepted(parts: Parts, token: AuthToken, identity: VerifiedIdentity) -> None:
    parts.audit.record(
        "login_accepted",
        rid=token.rid,
        national_id=identity.national_id,
        card_type=identity.card_type.name,
        card_number=identity.card_number,
        certificate_serial=identity.certificate_serial,
        **g.evidence,
        upn_mismatch=identity.upn_mismatch,
        revocation=identity.revocation,
        agent_version=token.agent_version,
        interface=token.card.interface,
        atr=token.card.atr.hex().upper(),
        client=client_address(),
    )
