"""Whether a host is this machine alone."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an IP address, is never another machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
