"""What a card's chip computes with an RSA key, whichever command asks for it."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from cps.simulator.command import CommandRefusedError
from cps.simulator.hashing import SHA1, SHA256, Hash
from cps.simulator.image import KeyImage
from cps.status import SW

DIGEST_INFO = {
    SHA1: bytes.fromhex("3021300906052B0E03021A05000414"),
    SHA256: bytes.fromhex("3031300D060960864801650304020105000420"),
}
PSS_HASHES: dict[Hash, hashes.HashAlgorithm] = {
    SHA1: hashes.SHA1(),  # noqa: S303 - the card offers it
    SHA256: hashes.SHA256(),
}


def modulus_bytes(key: KeyImage) -> int:
    """Return the length of the key, which is that of its signatures."""
    return key.private_key.key_size // 8


def sign(key: KeyImage, message: bytes) -> bytes:
    """Return the signature over *message* in a PKCS#1 v1.5 block of type 1."""
    padded = b"\xff" * (modulus_bytes(key) - 3 - len(message))
    return raw(key, b"\x00\x01" + padded + b"\x00" + message)


def sign_pss(key: KeyImage, digest: bytes, function: Hash) -> bytes:
    """Return the PSS signature over *digest*, with a salt as long as the digest."""
    algorithm = PSS_HASHES[function]
    scheme = padding.PSS(padding.MGF1(algorithm), salt_length=function.digest_bytes)
    return key.private_key.sign(digest, scheme, Prehashed(algorithm))


def raw(key: KeyImage, block: bytes) -> bytes:
    """Return *block* raised to the private exponent.

    The library pads only digests it knows, and the card pads anything: hence the bare operation.
    It is not blinded and its time depends on the key, which a real card could not afford; the keys
    here are test keys that lie in a file beside it.
    """
    numbers = key.private_key.private_numbers()
    modulus = numbers.public_numbers.n
    value = int.from_bytes(block, "big")
    if value >= modulus:
        raise CommandRefusedError(SW.WRONG_DATA)
    return pow(value, numbers.d, modulus).to_bytes(modulus_bytes(key), "big")
