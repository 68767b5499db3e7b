"""What an agent says when it claims a login or begins one: its key, its name and its version."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import require_rid

PROTOCOL_VERSION = 1
BEGIN_MEMBERS = frozenset({"v", "jwk", "agent"})
CLAIM_MEMBERS = BEGIN_MEMBERS | {"rid"}
MAX_CLAIM_BYTES = 2000
"""Largest body of a claim, and of the request that begins a login."""
_AGENT_MEMBERS = frozenset({"name", "version", "os"})
_MAX_TEXT = 64
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What an agent says of itself; nothing in it is proved."""

    agent_key: AgentKey
    """The agent's key of this login."""
    name: str
    """The agent's name, for the log."""
    version: str
    """The agent's version, three numbers."""
    system: str
    """The agent's operating system, for the log."""

    @classmethod
    def from_members(cls, members: Mapping[str, object]) -> "Introduction":
        """Return the introduction in *members*.

        :param members: of the body, at least those of ``BEGIN_MEMBERS``.
        :raises ValueError: with the member at fault.

        Source: docs/reference/protocol.md, "Agent to gateway".
        """
        version = members["v"]
        if type(version) is not int or version != PROTOCOL_VERSION:
            raise ValueError(f"v: only {PROTOCOL_VERSION} is spoken")
        agent = members["agent"]
        if not isinstance(agent, Mapping) or set(agent) != _AGENT_MEMBERS:
            raise ValueError("agent: exactly name, version and os are wanted")
        introduction = cls(
            agent_key=AgentKey.from_json(members["jwk"]),
            name=_text(agent, "name"),
            version=_text(agent, "version"),
            system=_text(agent, "os"),
        )
        version_numbers(introduction.version)
        return introduction


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The claim by an agent of a login that a browser began; nothing in it is proved."""

    rid: str
    """The request id, 22 characters."""
    agent: Introduction
    """Whose it is to be."""

    @classmethod
    def from_members(cls, members: Mapping[str, object]) -> "Claim":
        """Return the claim in *members*.

        :param members: the body's members, exactly those of ``CLAIM_MEMBERS``.
        :raises ValueError: with the member at fault.

        Source: docs/reference/protocol.md, "Agent to gateway".
        """
        rid = members["rid"]
        if not isinstance(rid, str):
            raise ValueError("rid: text is wanted")  # noqa: TRY004 - one error for callers
        return cls(rid=require_rid(rid), agent=Introduction.from_members(members))


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the three numbers of *version*, to compare.

    :param version: ``major.minor.patch``.
    :raises ValueError: for another form.
    """
    match = _VERSION.match(version)
    if match is None:
        raise ValueError("agent.version: major.minor.patch is wanted")
    return tuple(int(number) for number in match.groups())


def _text(agent: Mapping[str, object], name: str) -> str:
    value = agent[name]
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= _MAX_TEXT
        or not (value.isascii() and value.isprintable())
    ):
        raise ValueError(f"agent.{name}: 1 to {_MAX_TEXT} printable ASCII characters are wanted")
    return value
