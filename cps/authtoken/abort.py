"""A claimed login that the agent gives up: the card or the person said no, and here is why."""

import hashlib
import json
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from cps.authtoken import es256
from cps.authtoken.codes import ErrorCode
from cps.authtoken.encoding import b64url_decode, b64url_encode, parse_object
from cps.authtoken.frame import require_origin
from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import require_rid

ABORT_CONTEXT = b"CPS-GATEWAY-ABORT-V1\x00"
MAX_ABORT_MESSAGE_BYTES = 512
ABORT_CODES = frozenset(
    {
        ErrorCode.NO_SERVICE,
        ErrorCode.NO_READER,
        ErrorCode.NO_CARD,
        ErrorCode.CARD_UNSUPPORTED,
        ErrorCode.CARD_CONTACTLESS,
        ErrorCode.CARD_MUTE,
        ErrorCode.CARD_BUSY,
        ErrorCode.CARD_REMOVED,
        ErrorCode.CARD_MALFORMED,
        ErrorCode.CARD_REFUSED,
        ErrorCode.PIN_WRONG,
        ErrorCode.PIN_BLOCKED,
        ErrorCode.PIN_CANCELLED,
        ErrorCode.PINPAD_FAILED,
    }
)
"""What may end a login at the workstation: causes of card, reader and person, and no others."""
_MEMBERS = frozenset({"rid", "code", "sig"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortMessage:
    """What an agent says; nothing in it is proved before :meth:`require_signed_by`."""

    rid: str = field(repr=False)
    """The request id, 22 characters."""
    code: ErrorCode
    """One of :data:`ABORT_CODES`."""
    signature: bytes
    """64 bytes; see :mod:`cps.authtoken.es256`."""

    @classmethod
    def signed(
        cls, key: ec.EllipticCurvePrivateKey, *, origin: str, rid: str, code: ErrorCode
    ) -> "AbortMessage":
        """Return the message, signed with ES256.

        :param key: with which the login was claimed.
        :param origin: of the gateway, in the one spelling of :func:`require_origin`.
        :raises ValueError: for an origin in another spelling, or a code not to be said here.
        """
        signature = es256.sign(key, abort_message(origin=origin, rid=rid, code=code))
        return cls(rid=rid, code=code, signature=signature)

    @classmethod
    def parse(cls, raw: bytes) -> "AbortMessage":
        """Return the message in *raw*.

        :param raw: strict JSON with exactly the three members, at most 512 bytes.
        :raises ValueError: with the member at fault.

        Source: docs/reference/protocol.md, "A login given up".
        """
        members = parse_object(raw, max_bytes=MAX_ABORT_MESSAGE_BYTES)
        if set(members) != _MEMBERS:
            unexpected = sorted(_MEMBERS ^ set(members))
            raise ValueError(f"members missing or unknown: {', '.join(unexpected)[:200]}")
        rid, named, signature = members["rid"], members["code"], members["sig"]
        if not isinstance(rid, str) or not isinstance(signature, str):
            raise ValueError("rid and sig: text is wanted")  # noqa: TRY004 - one error for callers
        code = next((code for code in ABORT_CODES if code == named), None)
        if code is None:
            raise ValueError("code: one of the card's or the person's is wanted")
        try:
            decoded = b64url_decode(signature, length=es256.SIGNATURE_BYTES)
        except ValueError as exc:
            raise ValueError(f"sig: {exc}") from exc
        return cls(rid=require_rid(rid), code=code, signature=decoded)

    def to_json(self) -> bytes:
        """Return the message as it is sent."""
        return json.dumps(
            {"rid": self.rid, "code": self.code, "sig": b64url_encode(self.signature)}
        ).encode("ascii")

    def require_signed_by(self, key: AgentKey, *, origin: str) -> None:
        """Refuse the message unless *key* signed it for the gateway at *origin*.

        :raises ValueError: where it is not so.
        """
        message = abort_message(origin=origin, rid=self.rid, code=self.code)
        es256.require_signed(key, self.signature, message)


def abort_message(*, origin: str, rid: str, code: ErrorCode) -> bytes:
    """Return the bytes that the agent's key signs.

    Only the last field has no fixed length, so fields cannot run into each other.

    :param origin: in the one spelling of :func:`require_origin`.
    :param rid: 22 characters.
    :raises ValueError: for an origin in another spelling, or a code not to be said here.

    Source: docs/reference/protocol.md, "A login given up".
    """
    if code not in ABORT_CODES:
        raise ValueError(f"{code}: no reason of the workstation's")
    return b"".join(
        (
            ABORT_CONTEXT,
            hashlib.sha256(require_origin(origin).encode("ascii")).digest(),
            hashlib.sha256(rid.encode("ascii")).digest(),
            code.encode("ascii"),
        )
    )
