"""What an agent says when it claims a login: its key, its name and its version."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cps.authtoken.jwk import AgentKey
from cps.authtoken.token import require_rid

PROTOCOL_VERSION = 1
CLAIM_MEMBERS = frozenset({"v", "rid", "jwk", "agent"})
MAX_CLAIM_BYTES = 2000
_AGENT_MEMBERS = frozenset({"name", "version", "os"})
_MAX_TEXT = 64
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The claim of one login by an agent; nothing in it is proved."""

    rid: str
    """The request id, 22 characters."""
    agent_key: AgentKey
    """The agent's key of this login."""
    name: str
    """The agent's name, for the log."""
    version: str
    """The agent's version, three numbers."""
    system: str
    """The agent's operating system, for the log."""

    @classmethod
    def from_members(cls, members: Mapping[str, object]) -> "Claim":
        """Return the claim in *members*.

        :param members: the body's members, exactly those of ``CLAIM_MEMBERS``.
        :raises ValueError: with the member at fault.

        Source: docs/reference/protocol.md, "Agent to gateway".
        """
        version = members["v"]
        if type(version) is not int or version != PROTOCOL_VERSION:
            raise ValueError(f"v: only {PROTOCOL_VERSION} is spoken")
        rid = members["rid"]
        if not isinstance(rid, str):
            raise ValueError("rid: text is wanted")  # noqa: TRY004 - one error for callers
        agent = members["agent"]
        if not isinstance(agent, Mapping) or set(agent) != _AGENT_MEMBERS:
            raise ValueError("agent: exactly name, version and os are wanted")
        claim = cls(
            rid=require_rid(rid),
            agent_key=AgentKey.from_json(members["jwk"]),
            name=_text(agent, "name"),
            version=_text(agent, "version"),
            system=_text(agent, "os"),
        )
        version_numbers(claim.version)
        return claim


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
