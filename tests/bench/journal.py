"""The access journal: how fast it is written, checked and asked.

``python -m tests.bench.journal 10000000 FOLDER`` measures a large one, and leaves it there.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.clock import system_clock
from gateway.journal.access import Access, AccessJournal, RecordNames
from gateway.journal.chain import Chain, ChainLimits
from gateway.journal.files import chain_files
from gateway.journal.line import Fields, FieldValue
from gateway.journal.places import ACCESS
from gateway.journal.search import find, index_full_files
from gateway.journal.verify import verify
from tests.support.chains import new_ring

LINES = 200_000
DAYS = 365
PEOPLE = 20_000
RECORDS = 2_000_000
BATCH = 5000
SECONDS = 2.0
KEYS = new_ring()
LIMITS = ChainLimits(file_bytes=64_000_000, retention=timedelta(days=365))


def main(arguments: Sequence[str] = ()) -> None:
    """Measure, and print a line for each."""
    count = int(arguments[0]) if arguments else LINES
    print(f"access journal, {count} lines")
    with TemporaryDirectory() as folder:
        for writers in (1, 8, 64):
            _measure_writing(Path(folder) / str(writers), writers)
    if len(arguments) > 1:
        _measure_questions(Path(arguments[1]), count)
    else:
        with TemporaryDirectory() as folder:
            _measure_questions(Path(folder), count)


def _measure_writing(folder: Path, writers: int) -> None:
    """Write as fast as so many requests at a time can, each waiting for the disk."""
    chain = Chain(folder, ACCESS, keys=lambda: KEYS, clock=system_clock, limits=LIMITS)
    journal = AccessJournal(
        chain, RecordNames(lambda: KEYS, "hashed"), system_clock, refuses=True, on_failure=print
    )
    waits: list[float] = []

    async def write(end: float) -> None:
        while (begun := time.perf_counter()) < end:
            await journal.record(_access(), status=200)
            waits.append(time.perf_counter() - begun)

    async def write_all() -> None:
        end = time.perf_counter() + SECONDS
        await asyncio.gather(*(write(end) for _ in range(writers)))

    asyncio.run(write_all())
    journal.close()
    waits.sort()
    print(
        f"  {writers:3} at a time: {len(waits) / SECONDS:7.0f} lines/s on the disk, "
        f"half within {1000 * waits[len(waits) // 2]:.2f} ms, "
        f"99 of 100 within {1000 * waits[len(waits) * 99 // 100]:.2f} ms"
    )


def _measure_questions(folder: Path, count: int) -> None:
    names = RecordNames(lambda: KEYS, "hashed")
    begun = time.perf_counter()
    _fill(folder / ACCESS, count, names)
    _tell("written in batches", begun, count)
    begun = time.perf_counter()
    made = index_full_files(folder / ACCESS, ACCESS)
    _tell(f"{made} indexes made", begun, count)
    size = sum(file.path.stat().st_size for file in chain_files(folder / ACCESS, ACCESS))
    print(f"  {size / count:.0f} bytes a line")
    for label, name, value in (
        ("audit touched, one person", "who", _person(7)),
        ("audit who, one record", "record", names.name(_record(7))),
        ("audit who, a record nobody saw", "record", names.name("unknown")),
    ):
        begun = time.perf_counter()
        found = sum(1 for _ in find(folder / ACCESS, ACCESS, name, value))
        print(f"  {label}: {found} lines in {time.perf_counter() - begun:.3f} s")
    begun = time.perf_counter()
    checked = verify(folder / ACCESS, ACCESS, KEYS.verifiers)
    _tell(f"audit verify, {len(checked.faults)} faults", begun, count)


def _fill(folder: Path, count: int, names: RecordNames) -> None:
    """Write *count* lines, spread over a year."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    step = timedelta(days=DAYS) / count
    chain = Chain(folder, ACCESS, keys=lambda: KEYS, clock=lambda: now, limits=LIMITS)
    lines = (_line(number, now, names) for number in range(count))
    while batch := list(islice(lines, BATCH)):
        chain.append(batch)
        now += step * len(batch)


def _line(number: int, now: datetime, names: RecordNames) -> Fields:
    who = number * 7919 % PEOPLE
    fields: dict[str, FieldValue] = {
        "at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": "access",
        "who": _person(who),
        "card": f"{2_000_000_000 + who}",
        "session": "0123456789abcdef",
        "client": "192.0.2.7",
        "route": "rights",
        "method": "GET",
        "record": names.name(_record(number * 104_729 % RECORDS)),
        "status": 200,
        "effect": None,
    }
    return fields


def _access() -> Access:
    return Access(
        who=_person(7),
        card="2000000007",
        session="0123456789abcdef",
        client="192.0.2.7",
        route="rights",
        method="GET",
        record=secrets.token_hex(8),
    )


def _person(number: int) -> str:
    return f"8{99_900_000_000 + number}"


def _record(number: int) -> str:
    return f"{1_850_175_000_000 + number}"


def _tell(what: str, begun: float, count: int) -> None:
    seconds = time.perf_counter() - begun
    print(f"  {what}: {seconds:.1f} s, {count / seconds:.0f} lines/s")


if __name__ == "__main__":
    main(sys.argv[1:])
