"""The PROXY header: every form that names a browser, and everything else refused."""

import ipaddress
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge.peer import Address
from gateway.edge.proxy_protocol import (
    MAX_BINARY_BYTES,
    MAX_TEXT_BYTES,
    header_size,
    read_header,
)
from tests.support.proxy_protocol import (
    LOCAL,
    PROXY,
    SIGNATURE,
    TCP4,
    TCP6,
    UDP4,
    UDP6,
    UNIX,
    UNSPECIFIED,
    addition,
    binary_header,
    raw_header,
    text_header,
)

BROWSER = "192.0.2.7"
GOOD = (
    text_header(BROWSER),
    text_header("2001:db8::7"),
    binary_header(BROWSER),
    binary_header("2001:db8::7", addition(1, b"http/1.1") + addition(4, b"")),
    raw_header(LOCAL, UNSPECIFIED),
    b"PROXY UNKNOWN\r\n",
)
PORTS = st.integers(min_value=0, max_value=65_535)
ADDITIONS = st.lists(
    st.builds(addition, st.integers(min_value=0, max_value=255), st.binary(max_size=40)), max_size=5
)


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(), PORTS)
def test_every_address_is_read_from_a_line(address: Address, port: int) -> None:
    header = text_header(str(address), port)
    assert header_size(header) == len(header) <= MAX_TEXT_BYTES
    assert read_header(header) == address


@settings(max_examples=100, deadline=None)
@given(st.ip_addresses(), PORTS, ADDITIONS)
def test_every_address_is_read_from_a_binary_header(
    address: Address, port: int, additions: list[bytes]
) -> None:
    header = binary_header(str(address), b"".join(additions), port)
    assert header_size(header) == len(header)
    assert read_header(header) == address


@pytest.mark.parametrize("header", GOOD, ids=repr)
def test_no_beginning_of_a_header_is_one(header: bytes) -> None:
    for end in range(len(header)):
        begun = header[:end]
        assert header_size(begun) in (None, len(header))
        with pytest.raises(ValueError, match="no PROXY header"):
            read_header(begun)


@pytest.mark.parametrize("header", GOOD, ids=repr)
@pytest.mark.parametrize("behind", [b"GET / HTTP/1.1\r\n", b"\n", b"\x00", b"\x16\x03\x01"])
def test_what_follows_a_header_is_no_part_of_it(header: bytes, behind: bytes) -> None:
    assert header_size(header + behind) == len(header)
    with pytest.raises(ValueError, match="no PROXY header"):
        read_header(header + behind)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(GOOD), st.data())
def test_a_header_with_one_byte_changed_is_read_strictly_or_not_at_all(
    header: bytes, data: st.DataObject
) -> None:
    place = data.draw(st.integers(min_value=0, max_value=len(header) - 1))
    byte = data.draw(st.integers(min_value=0, max_value=255))
    changed = header[:place] + bytes([byte]) + header[place + 1 :]
    with suppress(ValueError):
        size = header_size(changed)
        if size == len(changed):
            found = read_header(changed)
            assert found is None or isinstance(found, ipaddress.IPv4Address | ipaddress.IPv6Address)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from((b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE)))
def test_nothing_but_a_refusal_comes_of_noise(noise: bytes, start: bytes) -> None:
    begun = start + noise
    with suppress(ValueError):
        size = header_size(begun)
        assert size is None or 0 < size <= MAX_BINARY_BYTES
        if size is not None:
            read_header(begun[:size])


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"GET / HTTP/1.1\r\n", id="HTTP"),
        pytest.param(b"\x16\x03\x01", id="TLS"),
        pytest.param(b"proxy TCP4 ", id="small letters"),
        pytest.param(b" PROXY", id="a space before"),
        pytest.param(b"PROXY\t", id="a tab"),
        pytest.param(b"\r\n\r\n\x00\r\nQUIT\r", id="another signature"),
        pytest.param(b"PROXY TCP4 " + b"1" * MAX_TEXT_BYTES, id="a line without end"),
        pytest.param(b"PROXY UNKNOWN " + b"x" * MAX_TEXT_BYTES + b"\r\n", id="a long line"),
        pytest.param(raw_header(PROXY, TCP4, size=MAX_BINARY_BYTES - 15), id="too long a block"),
        pytest.param(raw_header(LOCAL, UNSPECIFIED, size=65_535), id="the longest block"),
    ],
)
def test_what_becomes_no_header_is_refused_at_once(begun: bytes) -> None:
    with pytest.raises(ValueError, match="PROXY"):
        header_size(begun)


def test_the_longest_headers_are_read() -> None:
    line = b"PROXY UNKNOWN " + b"x" * (MAX_TEXT_BYTES - 16) + b"\r\n"
    assert header_size(line) == MAX_TEXT_BYTES
    assert read_header(line) is None
    header = binary_header(BROWSER, addition(0xE0, bytes(MAX_BINARY_BYTES - 28 - 3)))
    assert header_size(header) == MAX_BINARY_BYTES
    assert read_header(header) == ipaddress.ip_address(BROWSER)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\n", id="no CR"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\r\n", id="two CR"),
        pytest.param(b"PROXY TCP4  192.0.2.7 192.0.2.1 4711 443\r\n", id="two spaces"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443 \r\n", id="a space at the end"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711\r\n", id="a part missing"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443 1\r\n", id="a part too many"),
        pytest.param(b"PROXY TCP4 192.0.2.07 192.0.2.1 4711 443\r\n", id="octal"),
        pytest.param(b"PROXY TCP4 192.0.2.256 192.0.2.1 4711 443\r\n", id="above 255"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2 4711 443\r\n", id="half a destination"),
        pytest.param(b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n", id="IPv6 as IPv4"),
        pytest.param(b"PROXY TCP6 192.0.2.7 192.0.2.1 4711 443\r\n", id="IPv4 as IPv6"),
        pytest.param(b"PROXY TCP6 2001:db8::7 192.0.2.1 4711 443\r\n", id="two families"),
        pytest.param(b"PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 443\r\n", id="a zone"),
        pytest.param(b"PROXY TCP6 :::7 2001:db8::1 4711 443\r\n", id="three colons"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 04711 443\r\n", id="a port with zero"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 +4711 443\r\n", id="a port with sign"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 443\r\n", id="a port too high"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 99999\r\n", id="the other too high"),
        pytest.param(b"PROXY TCP4 192.0.2.7 192.0.2.1 4_7 443\r\n", id="a port with line"),
        pytest.param("PROXY TCP4 192.0.2.٧ 192.0.2.1 4711 443\r\n".encode(), id="other digits"),
        pytest.param(b"PROXY UDP4 192.0.2.7 192.0.2.1 4711 443\r\n", id="UDP"),
        pytest.param(b"PROXY UNKNOWNS\r\n", id="a longer word"),
        pytest.param(b"PROXY \r\n", id="no kind"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_a_line_that_is_not_exactly_one_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="no PROXY header"):
        read_header(line)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(raw_header(0x11, TCP4, bytes(12)), id="version 1"),
        pytest.param(raw_header(0x31, TCP4, bytes(12)), id="version 3"),
        pytest.param(raw_header(0x22, TCP4, bytes(12)), id="a third command"),
        pytest.param(raw_header(PROXY, 0x41, bytes(12)), id="a fifth family"),
        pytest.param(raw_header(PROXY, 0x13, bytes(12)), id="a fourth transport"),
        pytest.param(raw_header(PROXY, TCP4, bytes(11)), id="IPv4 cut off"),
        pytest.param(raw_header(PROXY, TCP4), id="no address"),
        pytest.param(raw_header(PROXY, TCP6, bytes(35)), id="IPv6 cut off"),
        pytest.param(raw_header(PROXY, TCP6, bytes(12)), id="IPv4 as IPv6"),
        pytest.param(raw_header(PROXY, UNIX, bytes(215)), id="a path cut off"),
        pytest.param(raw_header(PROXY, TCP4, bytes(12), size=13), id="shorter than it says"),
        pytest.param(raw_header(PROXY, TCP4, bytes(13), size=12), id="longer than it says"),
        pytest.param(binary_header(BROWSER, b"\x01"), id="an addition's type alone"),
        pytest.param(binary_header(BROWSER, b"\x01\x00"), id="half an addition's length"),
        pytest.param(binary_header(BROWSER, b"\x01\x00\x02x"), id="an addition cut off"),
        pytest.param(binary_header(BROWSER, b"\x01\xff\xffx"), id="an addition past the end"),
        pytest.param(binary_header(BROWSER, addition(4, b"") + b"\x04"), id="the second cut off"),
    ],
)
def test_a_binary_header_that_is_not_exactly_one_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError, match="no PROXY header"):
        read_header(header)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"PROXY UNKNOWN\r\n", id="unknown"),
        pytest.param(b"PROXY UNKNOWN 192.0.2.7 192.0.2.1 4711 443\r\n", id="unknown, with more"),
        pytest.param(raw_header(LOCAL, UNSPECIFIED), id="local"),
        pytest.param(raw_header(LOCAL, TCP4, bytes([192, 0, 2, 7]) + bytes(8)), id="local address"),
        pytest.param(raw_header(LOCAL, 0xFF, b"anything"), id="local, with anything"),
        pytest.param(raw_header(PROXY, UNSPECIFIED), id="unspecified"),
        pytest.param(raw_header(PROXY, UNSPECIFIED, b"anything"), id="unspecified, with anything"),
        pytest.param(raw_header(PROXY, 0x10, bytes(12)), id="IPv4 over nothing"),
        pytest.param(raw_header(PROXY, UDP4, bytes(12)), id="UDP over IPv4"),
        pytest.param(raw_header(PROXY, UDP6, bytes(36)), id="UDP over IPv6"),
        pytest.param(raw_header(PROXY, UNIX, bytes(216)), id="a Unix socket"),
    ],
)
def test_a_header_may_name_nobody(header: bytes) -> None:
    assert header_size(header) == len(header)
    assert read_header(header) is None
