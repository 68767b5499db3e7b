"""How nginx takes connections that only trusted proxies make, each with a PROXY header."""

from collections.abc import Iterator, Sequence


def proxied_lines(proxies: Sequence[str]) -> Iterator[str]:
    """Yield what has nginx believe these proxies, and nobody else, whose a connection is.

    nginx itself takes such a header from everybody. So the first fault of a request is one of its
    connection: made by a stranger, or by a proxy that names no browser.

    :param proxies: addresses and networks; for none nothing is written.
    """
    if not proxies:
        return
    yield "    # ----- Whose connection it is"
    yield ""
    yield "    real_ip_header proxy_protocol;"
    yield from (f"    set_real_ip_from {each};" for each in proxies)
    yield "    geo $realip_remote_addr $cps_sender {"
    yield "        default stranger;"
    yield from (f"        {each} proxy;" for each in proxies)
    yield "    }"
    yield '    map "$cps_sender $proxy_protocol_addr" $cps_fault {'
    yield '        default "400 not a connection of a trusted proxy";'
    yield '        "proxy " "500 nobody knows the browser\'s address";'
    yield '        "~^proxy [0-9A-Fa-f:.]+$" $cps_fault_of_method;'
    yield "    }"
    yield ""


def first_fault(proxies: Sequence[str]) -> str:
    """Return the variable that the first map over a request sets."""
    return "$cps_fault_of_method" if proxies else "$cps_fault"
