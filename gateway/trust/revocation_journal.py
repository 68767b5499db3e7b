"""How asking one source goes, of lists or answers: the refresher writes it, reports read it."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from gateway.trust.revocation_list import Mark, RevocationList
from gateway.trust.table_file import write_whole

MAX_JOURNAL_BYTES = 65_536
MAX_TEXT_CHARS = 500
"""Of an error, or of what a server says that we have to repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceJournal:
    """What is remembered of a source beside what came from it; all empty in the beginning."""

    looked_at: datetime | None = None
    """When its source was last asked, whatever came of it."""
    taken_at: datetime | None = None
    """When a list was last taken from it."""
    error: str | None = None
    """Why the last attempt failed."""
    failures: int = 0
    """Attempts that failed since the last one that did not."""
    address: str | None = None
    """Where the list in use came from."""
    etag: str | None = None
    """What that server calls the list in use."""
    last_modified: str | None = None
    digest: str | None = None
    """SHA-256 of the list in use as it came."""
    number: int | None = None
    """Number and date of the newest list that was ever taken: never again an older one."""
    this_update: datetime | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the journal in *path*; an empty one where there is none that can be read."""
        try:
            with path.open("rb") as stream:
                members = json.loads(stream.read(MAX_JOURNAL_BYTES))
            for name in ("looked_at", "taken_at", "this_update"):
                if members[name] is not None:
                    members[name] = datetime.fromisoformat(members[name])
            return cls(**members)
        except (OSError, ValueError, TypeError, KeyError):
            return cls()

    def save(self, path: Path) -> None:
        """Put this at *path*.

        :raises OSError: where it cannot be written.
        """
        text = json.dumps(asdict(self), default=datetime.isoformat)
        write_whole(path, text.encode("ascii"))

    @property
    def mark(self) -> Mark | None:
        """What no list may be older than."""
        if self.this_update is None:
            return None
        return Mark(number=self.number, this_update=self.this_update)

    def failed(self, error: str, *, now: datetime) -> Self:
        """Return this after another attempt that failed."""
        return replace(
            self, looked_at=now, error=error[:MAX_TEXT_CHARS], failures=self.failures + 1
        )

    def unchanged(self, *, now: datetime) -> Self:
        """Return this after the source said that nothing is new."""
        return replace(self, looked_at=now, error=None, failures=0)

    def taken(
        self,
        fresh: RevocationList,
        *,
        now: datetime,
        digest: str | None = None,
        address: str | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
    ) -> Self:
        """Return this after *fresh* was taken."""
        return replace(
            self.unchanged(now=now),
            taken_at=now,
            digest=digest,
            address=address,
            etag=etag,
            last_modified=last_modified,
            number=fresh.number,
            this_update=fresh.this_update,
        )
