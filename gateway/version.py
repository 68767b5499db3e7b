"""Which version of the gateway this is."""

from importlib.metadata import PackageNotFoundError, version


def gateway_version() -> str:
    """Return the installed version, or that it is not installed."""
    try:
        return version("cps-gateway")
    except PackageNotFoundError:
        return "(not installed)"
