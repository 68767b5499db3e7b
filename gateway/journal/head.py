"""The signed end of a chain: what the last write made of it, so that a tail cut off shows."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.journal.key import JournalKey, JournalVerifier
from gateway.journal.line import FieldValue, Link, canonical, decode_members

HEAD_FILE = "head"
HEAD_BYTES = 512
"""Size of the file: one sector, so that a write of it is whole or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a chain ends."""

    chain: str
    """The chain's name, so that no head serves for another one."""
    link: Link
    """The last line."""
    file: str
    """Name of the file in which it stands."""
    size: int
    """Bytes of that file."""
    since: int
    """Lines since the last checkpoint."""
    kid: str
    """Name of the key that signs it, which is the one that signs in the chain."""

    def encode(self, key: JournalKey) -> bytes:
        """Return the file's content, signed by the key that it names."""
        members = self._members()
        signature = key.sign(canonical(members))
        return canonical({**members, "sig": signature}).ljust(HEAD_BYTES - 1) + b"\n"

    @classmethod
    def decode(cls, content: bytes | None, keys: Sequence[JournalVerifier], *, chain: str) -> Self:
        """Return the head that *content* holds.

        :param content: ``None`` where there is no head.
        :param keys: one of which signed it.
        :raises ValueError: where none did for *chain*.
        """
        if content is None:
            raise ValueError("the signed end of the chain is missing")
        members = decode_members(content)
        signature = members.pop("sig", None)
        key = next((key for key in keys if key.kid == members.get("key")), None)
        if (
            key is None
            or not isinstance(signature, str)
            or not key.has_signed(canonical(members), signature)
        ):
            raise ValueError("the chain's end is not signed by this journal's key")
        match members:
            case {
                "chain": str(name),
                "digest": str(digest),
                "file": str(file),
                "n": int(n),
                "since": int(since),
                "size": int(size),
            }:
                if name != chain:
                    raise ValueError("the signed end is another chain's")
                link = Link(n=n, digest=digest)
                return cls(chain=chain, link=link, file=file, size=size, since=since, kid=key.kid)
        raise ValueError("not the end of a chain")

    def _members(self) -> dict[str, FieldValue]:
        return {
            "chain": self.chain,
            "digest": self.link.digest,
            "file": self.file,
            "key": self.kid,
            "n": self.link.n,
            "since": self.since,
            "size": self.size,
        }


def read_head(folder: Path) -> bytes | None:
    """Return the content of the head in *folder*, ``None`` where there is none."""
    try:
        with (folder / HEAD_FILE).open("rb") as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError:
        return None


def write_head(folder: Path, content: bytes) -> None:
    """Replace the head; it need not reach the disk, since lines past it are found again."""
    descriptor = os.open(folder / HEAD_FILE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, content, 0)
    finally:
        os.close(descriptor)
