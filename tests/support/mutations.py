"""Every small change to a value in DER: each element retagged, cut, doubled, lengthened, swapped.

Whoever signs the result anew has what no builder would make and no bit flip reaches: a good
signature over nearly good bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cps import tlv

SHA256_WITH_RSA = bytes.fromhex("300D06092A864886F70D01010B0500")
_OTHER_TAGS = bytes.fromhex("0102030405060C13141617181E30318081A0A3")
_FLIPS = (0x01, 0x20, 0x80, 0xFF)
_CONSTRUCTED, _OCTET_STRING = 0x20, 0x04
_NULL = b"\x05\x00"
Place = tuple[int, ...]
"""Which member of which member of the whole, from outside to inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """The whole with one change."""

    place: Place
    change: str
    der: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """A value with its members; an OCTET STRING with a value in it has that one as member."""

    tag: int
    content: bytes
    members: tuple["Element", ...]

    @classmethod
    def parse(cls, der: bytes) -> Self:
        """Return the one value in *der*.

        :raises ValueError: for anything else.
        """
        (element,) = cls._all(der)
        return element

    @classmethod
    def _all(cls, der: bytes) -> tuple[Self, ...]:
        return tuple(cls._of(each.tag, each.value) for each in tlv.iterate(der))

    @classmethod
    def _of(cls, tag: int, content: bytes) -> Self:
        members: tuple[Self, ...] = ()
        if tag & _CONSTRUCTED:
            members = cls._all(content)
        elif tag == _OCTET_STRING:
            members = cls._inside(content)
        return cls(tag=tag, content=content, members=members)

    @classmethod
    def _inside(cls, content: bytes) -> tuple[Self, ...]:
        """Return what an extension's OCTET STRING holds; nothing where it is just bytes."""
        try:
            found = cls._all(content)
        except ValueError:
            return ()
        return found if len(found) == 1 and found[0].encoded() == content else ()

    def encoded(self) -> bytes:
        """Return the value as it was."""
        return tlv.encode(self.tag, self.content)

    def with_members(self, *members: bytes) -> bytes:
        """Return the value with other members, every length around them adapted."""
        return tlv.encode(self.tag, *members)


def mutants(der: bytes) -> Iterator[Mutant]:
    """Yield *der* with each change to each element."""
    whole = Element.parse(der)
    for place, element in _walk(whole, ()):
        for change, replacement in _changes(element):
            changed = _replaced(whole, place, replacement)
            if changed != der:
                yield Mutant(place=place, change=change, der=changed)


def signed(tbs: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """Return *tbs*, of a certificate, a list or an answer, with a good signature by *key*."""
    signature = key.sign(tbs, padding.PKCS1v15(), hashes.SHA256())
    return tlv.encode(0x30, tbs, SHA256_WITH_RSA, tlv.encode(0x03, b"\x00", signature))


def _walk(element: Element, place: Place) -> Iterator[tuple[Place, Element]]:
    yield place, element
    for number, member in enumerate(element.members):
        yield from _walk(member, (*place, number))


def _replaced(whole: Element, place: Place, replacement: bytes) -> bytes:
    if not place:
        return replacement
    return whole.with_members(
        *(
            _replaced(member, place[1:], replacement) if number == place[0] else member.encoded()
            for number, member in enumerate(whole.members)
        )
    )


def _changes(element: Element) -> Iterator[tuple[str, bytes]]:
    tag, content, whole = element.tag, element.content, element.encoded()
    for other in (*_OTHER_TAGS, tag ^ _CONSTRUCTED):
        if other != tag:
            yield f"tag {other:02X}", tlv.encode(other, content)
    yield "absent", b""
    yield "twice", whole + whole
    yield "empty", tlv.encode(tag, b"")
    yield "NULL behind it", whole + _NULL
    yield "NULL at its end", tlv.encode(tag, content, _NULL)
    yield "NULL at its beginning", tlv.encode(tag, _NULL, content)
    yield "length of four bytes", bytes((tag, 0x84)) + len(content).to_bytes(4, "big") + content
    yield "indefinite length", bytes((tag | _CONSTRUCTED, 0x80)) + content + b"\x00\x00"
    members = [member.encoded() for member in element.members]
    for at in range(len(members) - 1):
        swapped = [*members[:at], members[at + 1], members[at], *members[at + 2 :]]
        yield f"members {at} and {at + 1} swapped", element.with_members(*swapped)
    if not members and content:
        yield "00 at its beginning", tlv.encode(tag, b"\x00", content)
        yield "FF at its beginning", tlv.encode(tag, b"\xff", content)
        yield "last byte cut", tlv.encode(tag, content[:-1])
        for at in sorted({0, len(content) // 2, len(content) - 1}):
            for flip in _FLIPS:
                flipped = bytes((content[at] ^ flip,))
                yield (
                    f"byte {at} ^ {flip:02X}",
                    tlv.encode(tag, content[:at], flipped, content[at + 1 :]),
                )
