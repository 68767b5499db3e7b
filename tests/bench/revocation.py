"""A list of a million revocations: to refresh it, to look it up, and logins meanwhile.

``python -m tests.bench.revocation``
"""

import asyncio
import multiprocessing
import os
import re
import resource
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, process_time, sleep

from cryptography import x509

from cps.authtoken.token import AuthToken
from gateway.identity import CardKind
from gateway.login.challenge import Challenge
from gateway.login.rules import AccessRules
from gateway.login.verify import LoginVerifier
from gateway.refresh.fetch import Fetcher
from gateway.refresh.follower import ListFollower
from gateway.refresh.memory import RevokedTable
from gateway.serve.refresh import NICENESS
from gateway.trust.crl import LOOK_AGAIN
from gateway.trust.revocation_list import RevocationList
from gateway.trust.revocation_places import list_slots
from gateway.trust.serial_table import decode_serial
from gateway.trust.table_file import TableFile
from tests.bench.timing import median_seconds
from tests.bench.trust import ORIGIN, make_login
from tests.support import pki
from tests.support.revocation_folder import RevocationFolder

ENTRIES = 1_000_000
NEW, GONE = 1000, 10
"""Entries that only the second list has, and only the first."""
LOGIN_PROCESSES = 2
QUIET_SECONDS = 3.0
"""How long logins run before the second list comes."""
_FORK = multiprocessing.get_context("fork")
REFRESH_TARGET, MEMORY_TARGET, LOOKUP_TARGET = 2.0, 30, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What one look at every list cost."""

    seconds: float
    """Of one core."""
    peak_kib: int
    """Memory of the process at its largest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Logins:
    """What one process measured while it decided on logins, one after the other."""

    latencies: list[tuple[float, float]]
    """When each began, and how long it took, seconds."""
    table_kib: dict[str, int]
    """Of the list's table: ``Rss``, what this process sees of it, and ``Pss``, its share."""


def main() -> None:
    """Print what a refresh costs, what a look-up costs, and how long logins take meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "root.crl").write_bytes(pki.der(pki.crl(issuer=pki.hierarchy().root)))
        gateway = RevocationFolder(
            folder,
            cards=(),
            delta=(),
            authorities=(),
            ocsp=(),
            files=(folder / "cards.crl", folder / "root.crl"),
        )
        _measure(folder, gateway)


def _measure(folder: Path, gateway: RevocationFolder) -> None:
    _write_lists(folder)
    size = (folder / "cards.crl").stat().st_size
    print(f"Revocation: a list of {ENTRIES} entries, {size / 1e6:.0f} MB")
    _print_refresh("first refresh", _elsewhere(gateway))
    _print_lookup(gateway)

    raw, challenge = make_login(pki.der(pki.leaf()))
    pipes, workers = [], []
    for _ in range(LOGIN_PROCESSES):
        ours, theirs = _FORK.Pipe()
        worker = _FORK.Process(target=_log_in, args=(theirs, gateway, raw, challenge))
        worker.start()
        pipes.append(ours)
        workers.append(worker)
    sleep(QUIET_SECONDS)
    (folder / "new.crl").replace(folder / "cards.crl")
    begin = perf_counter()
    refresh = _elsewhere(gateway)
    end = perf_counter()
    # Long enough that every process has mapped the new table.
    sleep(LOOK_AGAIN.total_seconds() + 1)
    measured: list[Logins] = []
    for pipe in pipes:
        pipe.send(None)
        measured.append(pipe.recv())
    for pipe, worker in zip(pipes, workers, strict=True):
        pipe.send(None)
        worker.join()
    _print_refresh("next refresh", refresh)
    _print_memory(measured)
    _print_latencies(measured, begin, end)


def _write_lists(folder: Path) -> None:
    """Write a list and the one after it."""
    gone = [pki.leaf(serial=1 + number) for number in range(GONE)]
    (folder / "cards.crl").write_bytes(pki.big_crl(ENTRIES, *gone, number=1))
    (folder / "new.crl").write_bytes(pki.big_crl(ENTRIES + NEW, number=2))


def _elsewhere(gateway: RevocationFolder) -> Refresh:
    """Look at every list once, in a process of its own, and return what it cost."""
    ours, theirs = _FORK.Pipe()
    worker = _FORK.Process(target=_refresh, args=(theirs, gateway))
    worker.start()
    cost: Refresh = ours.recv()
    worker.join()
    return cost


def _refresh(pipe: Connection, gateway: RevocationFolder) -> None:
    """Look at every list once, as the refresher does, and send what it cost."""
    os.nice(NICENESS)

    async def look() -> float:
        async with Fetcher.open() as fetcher:
            followers = [
                ListFollower(
                    slot,
                    places=gateway.places,
                    store=gateway.store,
                    fetcher=fetcher,
                    revoked=RevokedTable(gateway.places.revoked),
                    is_listed=lambda *_: False,
                    clock=lambda: pki.NOW,
                )
                for slot in list_slots(gateway.settings.trust, gateway.store)
            ]
            for follower in followers:
                await follower.mend()
            started = process_time()
            for follower in followers:
                await follower.look()
            return process_time() - started

    seconds = asyncio.run(look())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send(Refresh(seconds=seconds, peak_kib=peak))


def _log_in(pipe: Connection, gateway: RevocationFolder, raw: bytes, challenge: Challenge) -> None:
    """Decide on logins until told to stop, then send what was measured."""
    verifier = LoginVerifier(
        gateway.store,
        gateway.follow(),
        AccessRules(card_types={CardKind.CPS}),
        ORIGIN,
    )
    begin = perf_counter()
    latencies = []
    while not pipe.poll():
        started = perf_counter()
        now = pki.NOW + timedelta(seconds=started - begin)
        verifier.verify(AuthToken.parse(raw), challenge, now=now)
        latencies.append((started, perf_counter() - started))
    pipe.recv()
    pipe.send(Logins(latencies=latencies, table_kib=_table_memory(gateway)))
    # What others share with this process they share until all were measured.
    pipe.recv()


def _table_memory(gateway: RevocationFolder) -> dict[str, int]:
    """Return what this process has of the tables in its memory, KiB."""
    sums = {"Rss": 0, "Pss": 0}
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = str(gateway.places.folder) in line
        elif inside and (match := re.match(r"(Rss|Pss): +(\d+) kB", line)):
            sums[match[1]] += int(match[2])
    return sums


def _print_refresh(name: str, cost: Refresh) -> None:
    print(
        f"  {name:26} {cost.seconds:6.2f} s of one core   (target {REFRESH_TARGET:g} s), "
        f"{cost.peak_kib / 1024:.0f} MiB at most in the refresher"
    )


def _print_lookup(gateway: RevocationFolder) -> None:
    slot = next(each for each in list_slots(gateway.settings.trust, gateway.store))
    file = TableFile.map(gateway.places.table(slot.name))
    (table,) = file.tables.values()
    crl = RevocationList.from_file(file, gateway.store.authorities())
    issuer = pki.hierarchy().intermediate.certificate
    serials = [
        decode_serial(record) for record in table.records()[ENTRIES // 100 :: ENTRIES // 100]
    ]
    hits = [pki.leaf(serial=serial) for serial in serials[:20]]
    misses = [pki.leaf(serial=serial ^ 1) for serial in serials[:20]]
    for name, leaves in (("look-up, revoked", hits), ("look-up, not revoked", misses)):

        def look(leaves: Sequence[x509.Certificate] = leaves) -> None:
            for leaf in leaves:
                crl.reasons(leaf.serial_number, issuer)

        micros = median_seconds(look, 500) / len(leaves) * 1e6
        print(f"  {name:26} {micros:6.2f} µs               (target {LOOKUP_TARGET:g} µs)")


def _print_memory(measured: Sequence[Logins]) -> None:
    seen = max(each.table_kib["Rss"] for each in measured) / 1024
    together = sum(each.table_kib["Pss"] for each in measured) / 1024
    print(
        f"  memory of the tables       {together:6.1f} MiB for {len(measured)} processes together, "
        f"{seen:.1f} MiB seen by each   (target {MEMORY_TARGET} MiB)"
    )


def _print_latencies(measured: Sequence[Logins], begin: float, end: float) -> None:
    heads = "median    99 %  99.9 %    most   per second"
    print(f"  logins in {len(measured)} processes, ms:     {heads}")
    phases = (
        ("before the refresh", 0.0, begin),
        ("during", begin, end),
        ("after, new table mapped", end, float("inf")),
    )
    for name, start, stop in phases:
        found = sorted(
            seconds
            for each in measured
            for moment, seconds in each.latencies
            if start <= moment < stop
        )
        moments = [
            moment for each in measured for moment, _ in each.latencies if start <= moment < stop
        ]
        rate = len(found) / (max(moments) - min(moments))
        cuts = statistics.quantiles(found, n=1000)
        values = (statistics.median(found), cuts[989], cuts[998], found[-1])
        columns = "".join(f"{value * 1000:8.2f}" for value in values)
        print(f"    {name:27}{columns}{rate:13.0f}")


if __name__ == "__main__":
    os.umask(0o077)
    main()
