"""The texts of the agent's own errors are made from their facts."""

from cps.agent.errors import ConfigurationError, PortInUseError, SignInError
from cps.authtoken.codes import ErrorCode


def test_each_error_says_where_and_why() -> None:
    assert str(ConfigurationError("--portal", "no origin")) == "--portal: no origin"
    assert "24951 (nginx, pid 8)" in str(PortInUseError({24951: "nginx, pid 8"}))
    assert str(SignInError(ErrorCode.TLS_ERROR, "handshake")) == "tls_error: handshake"
