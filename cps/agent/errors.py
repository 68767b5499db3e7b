"""What can go wrong in the agent, beside the card's own errors.

AgentError
├── ConfigurationError   a wrong option or file: the agent does not start
├── PortInUseError       no port of the list is free
└── SignInError          one sign-in cannot go on, for a reason that is not the card's
"""

from cps.authtoken.codes import ErrorCode


class AgentError(Exception):
    """The root of the agent's own errors."""


class ConfigurationError(AgentError):
    """An option or a file is wrong."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        """The option or the file."""
        self.reason = reason


class PortInUseError(AgentError):
    """Other programs hold every port on which the agent may listen."""

    def __init__(self, holders: dict[int, str]) -> None:
        taken = ", ".join(f"{port} ({holder})" for port, holder in holders.items())
        super().__init__(f"{ErrorCode.PORT_IN_USE}: every port is taken: {taken}")
        self.holders = holders
        """Port to the program that holds it, as far as it can be known."""


class SignInError(AgentError):
    """One sign-in cannot go on."""

    def __init__(self, code: ErrorCode, detail: str, *, incident: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        """For the log: never shown to the browser, never a secret."""
        self.incident = incident
        """The number under which the gateway recorded its refusal."""
