"""Lines of a chain that the journal's key signed: checkpoints, and handovers to the next key.

There is at least one in each file. With them a copy of some files can be checked without the rest,
and whoever has no key cannot write a chain anew; nor can whoever has only the next key write what
was signed before it.
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.journal.key import JournalKey, JournalVerifier
from gateway.journal.line import FieldValue, Line, Link, canonical, encode

CHECKPOINT_LINES = 1000
"""Lines between two checkpoints, but for those that were written together."""
EVENT = "checkpoint"
HANDOVER = "key_changed"
"""The event of a handover."""


def checkpoint(after: Link, *, chain: str, at: str, key: JournalKey) -> tuple[bytes, Link]:
    """Return the signed line behind *after*, and where the chain is then."""
    return _sign({"at": at, "event": EVENT}, after, chain=chain, key=key)


def handover(
    after: Link, *, chain: str, at: str, key: JournalKey, to: JournalVerifier
) -> tuple[bytes, Link]:
    """Return the line behind *after* with which *key* leaves the chain to another.

    :param to: who signs from then on.
    """
    public = to.public.public_bytes_raw().hex()
    return _sign({"at": at, "event": HANDOVER, "next": public}, after, chain=chain, key=key)


def is_checkpoint(line: Line, *, chain: str, key: JournalVerifier) -> bool:
    """Return whether *line* is a checkpoint of *chain* that *key* signed."""
    return line.fields.get("event") == EVENT and _is_signed(line, chain, key)


def next_key(line: Line, *, chain: str, key: JournalVerifier) -> JournalVerifier | None:
    """Return the key to which *line* hands *chain* over, ``None`` where *key* does not do so."""
    public = line.fields.get("next")
    if (
        line.fields.get("event") != HANDOVER
        or not isinstance(public, str)
        or not _is_signed(line, chain, key)
    ):
        return None
    try:
        return JournalVerifier(Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    except ValueError:
        return None


def kid_after(line: Line, *, chain: str, keys: Sequence[JournalVerifier]) -> str | None:
    """Return the name of the key that signs *chain* from *line* on.

    :param keys: all that may have signed the line.
    :returns: ``None`` where the line does not say, or none of them signed it.
    """
    named = line.fields.get("key")
    if line.fields.get("event") not in (EVENT, HANDOVER):
        return None
    for key in keys:
        if key.kid == named:
            if is_checkpoint(line, chain=chain, key=key):
                return key.kid
            following = next_key(line, chain=chain, key=key)
            return None if following is None else following.kid
    return None


def _sign(
    fields: dict[str, FieldValue], after: Link, *, chain: str, key: JournalKey
) -> tuple[bytes, Link]:
    fields |= {"chain": chain, "key": key.kid}
    signature = key.sign(_signed(fields, after.n + 1, after.digest))
    return encode({**fields, "sig": signature}, after)


def _is_signed(line: Line, chain: str, key: JournalVerifier) -> bool:
    fields = dict(line.fields)
    signature = fields.pop("sig", None)
    return (
        fields.get("chain") == chain
        and isinstance(signature, str)
        and key.has_signed(_signed(fields, line.link.n, line.prev), signature)
    )


def _signed(fields: dict[str, FieldValue], n: int, prev: str) -> bytes:
    return canonical({**fields, "n": n, "prev": prev})
