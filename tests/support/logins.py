"""What a login leaves behind, made up: a person, the agent's key, a moment."""

from dataclasses import replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken.jwk import AgentKey
from gateway.identity import CardKind, VerifiedIdentity

MOMENT = datetime(2026, 11, 23, 9, 30, 0, 123456, tzinfo=UTC)
DOCTOR = VerifiedIdentity(
    national_id="899990000016",
    family_name="ÉXEMPLE",
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
EMPLOYEE = replace(
    DOCTOR,
    national_id="30B0000001/CPET00001",
    profession=None,
    card_type=CardKind.CPE,
    organisation="HÔPITAL IMAGINAIRE",
    organisation_id="10B0000001",
)


def agent_key() -> AgentKey:
    """Return a new agent's key."""
    return AgentKey.of(ec.generate_private_key(ec.SECP256R1()).public_key())
