"""What programs ask: the relay where to send a browser, the portal which keys sign assertions."""

from flask import Blueprint, Response, jsonify, url_for

from cps.authtoken.codes import ErrorCode
from gateway.assertion_keys import KEY_SET_SECONDS
from gateway.errors import LoginRejectedError
from gateway.login.target import HOME, same_origin_target
from gateway.web.inbound import read_address, read_members, require_relay
from gateway.web.parts import Parts
from gateway.web.rate import ENTER, Rates

MAX_ENTER_BYTES = 100_000
"""Largest request of the relay; a target of the longest request head allowed fits in it."""


def internal(parts: Parts, rates: Rates) -> Blueprint:
    """Return what only the relay may ask; to the outside it answers 404 before we see it.

    :param rates: counts the browsers that are led to the login page.
    """
    api = Blueprint("internal", __name__, url_prefix="/_cps/internal")
    api.before_request(require_relay)

    @api.post("/enter")
    def enter() -> Response:
        """Keep the page that was asked for and name the login page that leads there (step 1)."""
        members = read_members(frozenset({"target", "client"}), max_bytes=MAX_ENTER_BYTES)
        asked, client = members["target"], members["client"]
        if not isinstance(asked, str) or not isinstance(client, str):
            raise LoginRejectedError(ErrorCode.REQUEST_MALFORMED, "target, client: text is wanted")
        rates.require_address(ENTER, read_address(client))
        target = same_origin_target(asked)
        if target == HOME:
            # The login leads there by itself: no row to keep.
            return jsonify({"location": url_for("login.login")})
        target_id = parts.challenges.keep_target(target, now=parts.clock())
        return jsonify({"location": url_for("login.login", t=target_id)})

    return api


def key_set(parts: Parts) -> Blueprint:
    """Return the public keys with which the portal checks the gateway's assertions.

    Source: RFC 7517 §5; RFC 8615 (the well-known folder, here below the gateway's own).
    """
    api = Blueprint("key_set", __name__, url_prefix="/_cps/.well-known")

    @api.get("/jwks.json")
    def jwks() -> Response:
        response = jsonify(parts.signer.jwks(parts.clock()))
        response.headers["Cache-Control"] = f"public, max-age={KEY_SET_SECONDS}"
        return response

    return api
