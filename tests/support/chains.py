"""Chains to test: in a folder of the test, with a clock that it sets."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.journal.chain import Chain, ChainLimits
from gateway.journal.files import chain_files
from gateway.journal.key import JournalKey
from gateway.journal.line import Line, decode
from gateway.journal.ring import JournalRing
from gateway.journal.verify import Verification, verify

NAME = "access"


def new_ring() -> JournalRing:
    """Return the keys of a new journal."""
    return JournalRing(current=JournalKey(Ed25519PrivateKey.generate()))


@dataclass(slots=True)
class ChainPlace:
    """A folder with a chain, keys, a clock and limits."""

    folder: Path
    ring: JournalRing = field(default_factory=new_ring)
    now: datetime = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    file_bytes: int = 1_000_000
    retention: timedelta = timedelta(days=365)
    full: list[Path] = field(default_factory=list)
    """The files that the chain said are full."""

    def chain(self) -> Chain:
        """Return the chain as a new process has it."""
        return Chain(
            self.folder,
            NAME,
            keys=self.keys,
            clock=lambda: self.now,
            limits=ChainLimits(file_bytes=self.file_bytes, retention=self.retention),
            on_full=self.full.append,
        )

    def keys(self) -> JournalRing:
        """Return the keys as they are now."""
        return self.ring

    @property
    def key(self) -> JournalKey:
        """The key that signs."""
        return self.ring.current

    def paths(self) -> list[Path]:
        """Return the chain's files, oldest first."""
        return [file.path for file in chain_files(self.folder, NAME)]

    def lines(self) -> list[Line]:
        """Return every line of every file, but what is none."""
        lines = []
        for path in self.paths():
            for content in path.read_bytes().splitlines():
                with suppress(ValueError):
                    lines.append(decode(content))
        return lines

    def values(self, name: str) -> list[object]:
        """Return the values of the field *name* of all lines that have it."""
        return [line.fields[name] for line in self.lines() if name in line.fields]

    def rewrite(self, lines: Sequence[bytes], *, file: int = -1) -> None:
        """Put other lines into a file."""
        self.paths()[file].write_bytes(b"".join(line + b"\n" for line in lines))

    def verify(self) -> Verification:
        """Check the chain."""
        return verify(self.folder, NAME, self.ring.verifiers)

    def faults(self) -> list[str]:
        """Return what is wrong with the chain."""
        return [fault.what for fault in self.verify().faults]
