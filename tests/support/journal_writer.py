"""A program that writes accesses and says which are acknowledged: to be killed."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from gateway.clock import system_clock
from gateway.journal.access import Access, AccessJournal, RecordNames
from gateway.journal.chain import Chain, ChainLimits
from gateway.journal.ring import RingFile
from tests.support.chains import NAME

WRITERS = 8
"""Requests under way at a time."""


def access(record: str) -> Access:
    """Return an access to *record*."""
    return Access(
        who="899900000013",
        card="2899000001",
        session="0123456789abcdef",
        client="192.0.2.7",
        route="rights",
        method="GET",
        record=record,
    )


async def write_on(journal: AccessJournal, name: str) -> None:
    """Write until killed; a record's name is printed when the answer could have begun."""
    number = 0
    while True:
        number += 1
        record = f"{name}-{number}"
        await journal.record(access(record), status=200)
        os.write(1, f"{record}\n".encode())


async def main(folder: Path) -> None:
    """Write with several requests at a time into small files."""
    keys = RingFile(folder / "key").current
    chain = Chain(
        folder / "chain",
        NAME,
        keys=keys,
        clock=system_clock,
        limits=ChainLimits(file_bytes=20_000, retention=timedelta(days=365)),
    )
    journal = AccessJournal(
        chain,
        RecordNames(keys, "plain"),
        system_clock,
        refuses=True,
        on_failure=lambda _: None,
    )
    await asyncio.gather(*(write_on(journal, f"{os.getpid()}-{n}") for n in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
