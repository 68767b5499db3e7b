"""The decision "this is that person, and the card is good today": every check, in one order."""

import hashlib
from datetime import datetime

from cryptography import x509

from cps.authtoken.codes import ErrorCode
from cps.authtoken.frame import login_message
from cps.authtoken.token import AuthToken
from gateway.errors import LoginRejectedError
from gateway.identity import RevocationSource, VerifiedIdentity
from gateway.login.challenge import Challenge
from gateway.login.rules import AccessRules
from gateway.login.signature import require_fitting_key, require_valid
from gateway.trust.certificate import load_certificate
from gateway.trust.crl import RevocationLists
from gateway.trust.path import PathVerifier, ValidChain
from gateway.trust.profile import CardProfile, require_authentication_profile
from gateway.trust.revocation_memory import owner_of
from gateway.trust.store import TrustStore


class LoginVerifier:
    """All that the decision depends on besides the token, the challenge and the time."""

    def __init__(
        self, store: TrustStore, revocation: RevocationLists, rules: AccessRules, origin: str
    ) -> None:
        """Keep what every decision uses.

        :param origin: the portal's own, in the one spelling of
            :func:`cps.authtoken.frame.require_origin`; never taken from a request.
        """
        self._environment = store.environment
        self._paths = PathVerifier(store)
        self._revocation = revocation
        self._rules = rules
        self._origin = origin

    def verify(self, token: AuthToken, challenge: Challenge, *, now: datetime) -> VerifiedIdentity:
        """Return who signed, or raise: nobody is let in who did not pass every line.

        The numbers are those of "Server verification" in docs/reference/protocol.md. What costs
        least and proves most comes first; 1 (the token's form) and 2 (taking the challenge) are
        done by the caller.

        :param challenge: already taken from its store, so that no outcome can reuse it.
        :param now: aware UTC; every date in every check is compared with this one instant.
        :raises LoginRejectedError: with the first failed check's code.
        """
        _require_contact(token)
        leaf = _read_certificate(token)  # 3
        key = require_fitting_key(token.algorithm, leaf)  # 4
        require_valid(key, self._signed_message(token, challenge), token.signature)  # 5
        chain = self._paths.require_chain(leaf, now)  # 6
        profile = require_authentication_profile(  # 7
            chain.leaf, environment=self._environment
        )
        revocation = self._revocation.require_good(chain, now)  # 8
        identity = _identity(token, chain, profile, revocation)  # 9
        self._rules.require_access(identity)  # 10
        return identity

    def _signed_message(self, token: AuthToken, challenge: Challenge) -> bytes:
        """Build M anew: all but the certificate comes from the gateway's own state."""
        if challenge.agent_key is None:
            raise LoginRejectedError(ErrorCode.RID_UNKNOWN, "the challenge was never claimed")
        return login_message(
            origin=self._origin,
            nonce=challenge.nonce,
            rid=challenge.rid,
            jwk_thumbprint=challenge.agent_key.thumbprint(),
            certificate=token.unverified_certificate,
        )


def _require_contact(token: AuthToken) -> None:
    # A courtesy to the honest: an agent can lie here, and then the profile refuses the certificate.
    if token.card.interface != "contact":
        raise LoginRejectedError(ErrorCode.CARD_CONTACTLESS, "the agent says: contactless")


def _read_certificate(token: AuthToken) -> x509.Certificate:
    try:
        return load_certificate(token.unverified_certificate)
    except ValueError as exc:
        raise LoginRejectedError(ErrorCode.CERT_MALFORMED, str(exc)) from exc


def _identity(
    token: AuthToken, chain: ValidChain, profile: CardProfile, revocation: RevocationSource
) -> VerifiedIdentity:
    holder, leaf = profile.holder, chain.leaf
    return VerifiedIdentity(
        national_id=holder.national_id,
        family_name=holder.family_name,
        given_name=holder.given_name,
        profession=profile.profession,
        card_type=profile.kind,
        card_number=profile.card_number,
        organisation=holder.organisation,
        organisation_id=holder.organisation_id,
        certificate_serial=f"{leaf.serial_number:X}",
        certificate_issuer=owner_of(chain.intermediate),
        certificate_sha256=hashlib.sha256(token.unverified_certificate).hexdigest(),
        not_after=int(leaf.not_valid_after_utc.timestamp()),
        upn_mismatch=profile.upn_mismatch,
        revocation=revocation,
        specialities=profile.specialities,
        future_profession=profile.future_profession,
    )
