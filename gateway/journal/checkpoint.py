"""Checkpoints: lines of a chain that the journal's key signed, at least one in each file.

With them a copy of some files can be checked without the rest, and whoever has no key cannot write
a chain anew.
"""

from gateway.journal.key import JournalKey, JournalVerifier
from gateway.journal.line import FieldValue, Line, Link, canonical, encode

CHECKPOINT_LINES = 1000
"""Lines between two checkpoints, but for those that were written together."""
EVENT = "checkpoint"


def checkpoint(after: Link, *, chain: str, at: str, key: JournalKey) -> tuple[bytes, Link]:
    """Return the signed line behind *after*, and where the chain is then."""
    fields: dict[str, FieldValue] = {
        "at": at,
        "chain": chain,
        "event": EVENT,
        "key": key.verifier.kid,
    }
    signature = key.sign(_signed(fields, after.n + 1, after.digest))
    return encode({**fields, "sig": signature}, after)


def is_checkpoint(line: Line, *, chain: str, key: JournalVerifier) -> bool:
    """Return whether *line* is a checkpoint of *chain* that *key* signed."""
    fields = dict(line.fields)
    signature = fields.pop("sig", None)
    return (
        fields.get("event") == EVENT
        and fields.get("chain") == chain
        and isinstance(signature, str)
        and key.has_signed(_signed(fields, line.link.n, line.prev), signature)
    )


def _signed(fields: dict[str, FieldValue], n: int, prev: str) -> bytes:
    return canonical({**fields, "n": n, "prev": prev})
