"""SHA-1 and SHA-256 that go on from an intermediate state, which ``hashlib`` cannot.

The host hashes all but the last block of a document and hands the card its state: five or eight
words, and how many bits they stand for. The card finishes, so that it signs a hash it has made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

BLOCK_BYTES = 64
COUNT_BYTES = 8
WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Hash:
    """One of the two functions, by its parts."""

    initial: tuple[int, ...]
    """The words the state begins with."""
    compress: Callable[[tuple[int, ...], bytes], tuple[int, ...]]
    """Takes a state and a block of 64 bytes and gives the next state."""

    @property
    def digest_bytes(self) -> int:
        """Return the length of a digest, which is that of a state."""
        return 4 * len(self.initial)

    def finish(self, imported: bytes, last: bytes) -> bytes:
        """Return the digest of the blocks that *imported* stands for and of *last*.

        :param imported: empty, or the state's words and 8 bytes that count the bits in them.
        :param last: what is left of the message, 0 to 64 bytes.
        :raises ValueError: where a length is wrong or the count is not one of whole blocks.
        """
        state, bits = self._import(imported)
        if len(last) > BLOCK_BYTES:
            raise ValueError("the last block has at most 64 bytes")
        bits += 8 * len(last)
        padded = last + b"\x80"
        padded += bytes(-(len(padded) + COUNT_BYTES) % BLOCK_BYTES)
        padded += bits.to_bytes(COUNT_BYTES, "big")
        for start in range(0, len(padded), BLOCK_BYTES):
            state = self.compress(state, padded[start : start + BLOCK_BYTES])
        return b"".join(word.to_bytes(4, "big") for word in state)

    def _import(self, imported: bytes) -> tuple[tuple[int, ...], int]:
        if not imported:
            return self.initial, 0
        if len(imported) != self.digest_bytes + COUNT_BYTES:
            raise ValueError("a state and a count are wanted")
        bits = int.from_bytes(imported[self.digest_bytes :], "big")
        if bits % (8 * BLOCK_BYTES) or bits + 8 * BLOCK_BYTES >= 1 << 64:
            raise ValueError("the count is not one of whole blocks")
        return _words(imported[: self.digest_bytes]), bits


def _words(data: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[start : start + 4], "big") for start in range(0, len(data), 4))


def _rotate_left(word: int, count: int) -> int:
    return (word << count | word >> (32 - count)) & WORD


def _rotate_right(word: int, count: int) -> int:
    return _rotate_left(word, 32 - count)


def _compress_sha1(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    schedule = list(_words(block))
    for step in range(16, 80):
        mixed = schedule[step - 3] ^ schedule[step - 8] ^ schedule[step - 14] ^ schedule[step - 16]
        schedule.append(_rotate_left(mixed, 1))
    a, b, c, d, e = state
    for step, word in enumerate(schedule):
        if step < 20:
            choice, constant = b & c | ~b & d, 0x5A827999
        elif step < 40:
            choice, constant = b ^ c ^ d, 0x6ED9EBA1
        elif step < 60:
            choice, constant = b & c | b & d | c & d, 0x8F1BBCDC
        else:
            choice, constant = b ^ c ^ d, 0xCA62C1D6
        total = (_rotate_left(a, 5) + choice + e + constant + word) & WORD
        a, b, c, d, e = total, a, _rotate_left(b, 30), c, d
    return _add(state, (a, b, c, d, e))


def _compress_sha256(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    schedule = list(_words(block))
    for step in range(16, 64):
        early, late = schedule[step - 15], schedule[step - 2]
        sigma0 = _rotate_right(early, 7) ^ _rotate_right(early, 18) ^ early >> 3
        sigma1 = _rotate_right(late, 17) ^ _rotate_right(late, 19) ^ late >> 10
        schedule.append((schedule[step - 16] + sigma0 + schedule[step - 7] + sigma1) & WORD)
    a, b, c, d, e, f, g, h = state
    for word, constant in zip(schedule, _SHA256_CONSTANTS, strict=True):
        sum1 = _rotate_right(e, 6) ^ _rotate_right(e, 11) ^ _rotate_right(e, 25)
        first = h + sum1 + (e & f ^ ~e & g) + constant + word
        sum0 = _rotate_right(a, 2) ^ _rotate_right(a, 13) ^ _rotate_right(a, 22)
        second = sum0 + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (first + second) & WORD, a, b, c, (d + first) & WORD, e, f, g
    return _add(state, (a, b, c, d, e, f, g, h))


def _add(state: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return tuple((left + right) & WORD for left, right in zip(state, other, strict=True))


def _first_primes(count: int) -> list[int]:
    primes: list[int] = []
    candidate = 2
    while len(primes) < count:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    return primes


def _cube_root_fraction(prime: int) -> int:
    """Return the first 32 bits behind the point of the cube root, in whole numbers alone."""
    target = prime << 96
    low, high = 0, 1 << 40
    while high - low > 1:
        middle = (low + high) // 2
        if middle**3 <= target:
            low = middle
        else:
            high = middle
    return low & WORD


# The standard derives both tables from the first primes; so do we, instead of 72 numbers.
_SHA256_CONSTANTS = tuple(_cube_root_fraction(prime) for prime in _first_primes(64))

SHA1 = Hash(
    initial=(0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0),
    compress=_compress_sha1,
)
SHA256 = Hash(
    initial=tuple(isqrt(prime << 64) & WORD for prime in _first_primes(8)),
    compress=_compress_sha256,
)
