"""French names for codes on cards; a code that no table has is shown as it is."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedTables:
    """The tables of one version of the national dictionary."""

    version: str
    """``02.18 of 2020-02-28``."""
    specialities: Mapping[str, str]
    """Table R01."""
    future_professions: Mapping[str, str]
    """Table G16."""

    def speciality(self, code: str) -> str:
        """Return the name of a speciality, or the code."""
        return self.specialities.get(code, code)

    def future_profession(self, code: int) -> str:
        """Return the name of what somebody is in training for, or the code."""
        return self.future_professions.get(str(code), str(code))


@cache
def coded_tables() -> CodedTables:
    """Return the tables that the package holds."""
    raw = resources.files("gateway").joinpath("coded_tables.toml").read_text("utf-8")
    tables = tomllib.loads(raw)
    return CodedTables(
        version=f"{tables['version']} of {tables['date'].isoformat()}",
        specialities=tables["R01"],
        future_professions=tables["G16"],
    )
