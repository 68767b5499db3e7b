"""The demo portal's insured persons: a few thousand, made up, the same at every start."""

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

PEOPLE = 3000
NIR_DIGITS = 13

_FAMILY_NAMES = (
    "AUBÉPINE", "BOULEAU", "BRUYÈRE", "CAMPANULE", "CHARME", "CHÈVREFEUILLE", "COQUELICOT",
    "CYPRÈS", "ÉGLANTINE", "ÉRABLE", "FOUGÈRE", "FRÊNE", "GENÊT", "GENÉVRIER", "GLYCINE",
    "HÊTRE", "HOUX", "JONQUILLE", "LAVANDE", "LILAS", "MÉLÈZE", "MIMOSA", "MUGUET", "NOISETIER",
    "OLIVIER", "PERVENCHE", "PRIMEVÈRE", "SAULE", "SUREAU", "TILLEUL",
)  # fmt: skip
_GIVEN_NAMES = (
    "ADÈLE", "BASILE", "CÉLESTE", "DARIUS", "ÉLOÏSE", "FÉLIX", "GARANCE", "HIPPOLYTE", "IRIS",
    "JOACHIM", "LÉONIE", "MARIUS", "NOÉMIE", "OCTAVE", "PERVENCHE", "QUENTIN", "ROMANE",
    "SIMÉON", "THAÏS", "URBAIN",
)  # fmt: skip
_FUNDS = ("Mutuelle Exemple Santé", "Prévoyance Fictive", "Complémentaire du Jardin", None)
_FIRST_DAY = date(1934, 1, 1)
_RIGHTS_FROM = date(2026, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Insured:
    """One insured person and the rights that a third-party-payment portal shows."""

    nir: str
    """13 digits; the commune is 000, which no real number has."""
    key: int
    """The check number, 1 to 97: 97 less the number modulo 97."""
    family_name: str
    given_name: str
    birth_date: date
    rights_from: date
    rights_until: date
    long_illness: bool
    fund: str | None
    contract: str
    optical_percent: int
    dental_percent: int


def create_database(path: Path) -> None:
    """Fill a new SQLite file at *path* with the made-up people."""
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE insured (nir TEXT PRIMARY KEY, key INTEGER, family_name TEXT,"
            " given_name TEXT, birth_date TEXT, rights_from TEXT, rights_until TEXT,"
            " long_illness INTEGER, fund TEXT, contract TEXT, optical INTEGER, dental INTEGER)"
        )
        database.executemany(
            "INSERT INTO insured VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    person.nir, person.key, person.family_name, person.given_name,
                    person.birth_date.isoformat(), person.rights_from.isoformat(),
                    person.rights_until.isoformat(), person.long_illness, person.fund,
                    person.contract, person.optical_percent, person.dental_percent,
                )
                for person in made_up_people()
            ),
        )  # fmt: skip
    database.close()


def find(path: Path, nir: str) -> Insured | None:
    """Return the person with number *nir*, or ``None``.

    :param nir: 13 digits.
    """
    database = sqlite3.connect(path)
    try:
        row = database.execute("SELECT * FROM insured WHERE nir = ?", (nir,)).fetchone()
    finally:
        database.close()
    return None if row is None else _insured(row)


def made_up_people(count: int = PEOPLE) -> Iterator[Insured]:
    """Yield *count* people; each fact comes from a hash of the person's rank, so none changes."""
    for rank in range(count):
        dice = hashlib.sha256(f"insured {rank}".encode("ascii")).digest()
        born = _FIRST_DAY + timedelta(days=int.from_bytes(dice[0:2], "big") % 32_000)
        sex = 1 + dice[2] % 2
        department = 1 + dice[3] % 95
        nir = f"{sex}{born:%y%m}{department:02d}000{rank % 1000:03d}"
        yield Insured(
            nir=nir,
            key=check_key(nir),
            family_name=_FAMILY_NAMES[dice[4] % len(_FAMILY_NAMES)],
            given_name=_GIVEN_NAMES[dice[5] % len(_GIVEN_NAMES)],
            birth_date=born,
            rights_from=_RIGHTS_FROM,
            rights_until=_RIGHTS_FROM + timedelta(days=30 * (6 + dice[6] % 18)),
            long_illness=dice[7] % 8 == 0,
            fund=_FUNDS[dice[8] % len(_FUNDS)],
            contract=f"{int.from_bytes(dice[9:12], 'big') % 10**7:07d}",
            optical_percent=100 + 50 * (dice[12] % 5),
            dental_percent=100 + 25 * (dice[13] % 9),
        )


def check_key(nir: str) -> int:
    """Return the check number of the 13 digits *nir*: 97 less their remainder modulo 97."""
    return 97 - int(nir) % 97


def _insured(
    row: tuple[str, int, str, str, str, str, str, int, str | None, str, int, int],
) -> Insured:
    return Insured(
        nir=row[0],
        key=row[1],
        family_name=row[2],
        given_name=row[3],
        birth_date=date.fromisoformat(row[4]),
        rights_from=date.fromisoformat(row[5]),
        rights_until=date.fromisoformat(row[6]),
        long_illness=bool(row[7]),
        fund=row[8],
        contract=row[9],
        optical_percent=row[10],
        dental_percent=row[11],
    )
