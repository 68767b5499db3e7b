"""How a server behind the gateway proves itself, and the gateway to it."""

import ssl
from pathlib import Path

from gateway.errors import ConfigurationError


def client_context(
    authority: Path | None, certificate: Path | None, key: Path | None, *, keys: str
) -> ssl.SSLContext:
    """Return TLS 1.2 or newer in which the server's certificate and name are checked.

    :param authority: PEM file, the only authorities accepted; ``None`` for the system's.
    :param certificate: PEM file that the gateway shows, with *key*; ``None`` for none.
    :param keys: how the names of the three settings begin, for the error.
    :raises ConfigurationError: for files that do not hold what they should.
    """
    try:
        context = ssl.create_default_context(cafile=authority)
    except (OSError, ValueError) as exc:
        reason = f"no certificates to trust: {exc}"
        raise ConfigurationError(str(authority), f"{keys}ca", reason) from exc
    # Not every build of Python has this as its default.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            # Without a password asked for, an encrypted key is an error and not a prompt.
            context.load_cert_chain(certificate, key, password=lambda: b"")
        except (OSError, ValueError) as exc:
            reason = f"no certificate that fits {keys}key: {exc}"
            raise ConfigurationError(str(certificate), f"{keys}certificate", reason) from exc
    return context
