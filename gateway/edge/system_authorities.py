"""The file with the authorities that this system trusts, for proxies that want it named."""

import ssl
from pathlib import Path

from gateway.errors import ConfigurationError


def system_authorities() -> Path:
    """Return the file with the authorities that this system trusts.

    :raises ConfigurationError: where there is none.
    """
    paths = ssl.get_default_verify_paths()
    for name in (paths.cafile, paths.openssl_cafile, "/etc/ssl/certs/ca-certificates.crt"):
        if name and Path(name).is_file():
            return Path(name)
    reason = "https wants a file with the system's authorities, and there is none"
    raise ConfigurationError("settings", "portal.upstream", reason)
