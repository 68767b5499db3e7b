"""The agent's settings file: one TOML file of the user's, which need not be there."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path

from cps.agent.errors import ConfigurationError
from cps.agent.owned_file import read_owned

SETTINGS_FILE = Path(".config", "cps", "agent.toml")
"""Under the user's home folder."""
MAX_SETTINGS_BYTES = 65_536


@unique
class AfterSignature(StrEnum):
    """What becomes of the card once it signed."""

    RESET = "reset"
    """No other program can use the key behind the PIN; what others had open with it is over."""
    LEAVE = "leave"
    """The PIN stays verified until the card leaves the reader or another program resets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the file says."""

    portals: tuple[str, ...] = ()
    """Origins of the portals to sign in to, as they are written; see :mod:`cps.agent.origins`."""
    after_signature: AfterSignature = AfterSignature.RESET
    """``reset`` or ``leave``."""

    @classmethod
    def load(cls, file: Path) -> "AgentSettings":
        """Return what *file* says; one that is absent says nothing.

        :raises ConfigurationError: where it is wrong, or others can write it.
        """
        if not file.exists():
            return cls()
        # Who can write this file can send the card's signature elsewhere: nobody but the user may.
        raw = read_owned(file, forbidden_mode=0o022, max_bytes=MAX_SETTINGS_BYTES)
        try:
            settings = tomllib.loads(raw.decode("utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise ConfigurationError(str(file), f"not TOML: {exc}") from exc
        known = list(cls.__dataclass_fields__)
        if unknown := sorted(set(settings) - set(known)):
            raise ConfigurationError(
                str(file), f"{unknown[0]}: not a setting; those are {', '.join(known)}"
            )
        return cls(
            portals=_portals(file, settings.get("portals", [])),
            after_signature=_after_signature(file, settings.get("after_signature", "reset")),
        )


def _portals(file: Path, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ConfigurationError(str(file), "portals: a list of origins is wanted")
    return tuple(value)


def _after_signature(file: Path, value: object) -> AfterSignature:
    if value not in list(AfterSignature):
        raise ConfigurationError(str(file), "after_signature: reset or leave is wanted")
    return AfterSignature(str(value))
