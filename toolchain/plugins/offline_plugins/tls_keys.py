"""Private keys: making them, their text forms, and reading them back.

The forms are those of the official provider (hashicorp/terraform-provider-tls, `common_key.go`): PKCS#1 for
RSA, SEC 1 for ECDSA, PKCS#8 for Ed25519, and PKCS#8 and OpenSSH beside them.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP224R1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ecdsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

_CURVES: Mapping[str, type[EllipticCurve]] = {
    "P224": SECP224R1,
    "P256": SECP256R1,
    "P384": SECP384R1,
    "P521": SECP521R1,
}
_RSA_PUBLIC_EXPONENT = 65537
_PEM_TYPES = ("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY")


class KeyProblem(Exception):
    """A key cannot be made or read. The text never holds key material."""


@dataclass(frozen=True)
class KeyTexts:
    """A key pair in its text forms; the OpenSSH forms are empty for P224, which SSH does not have."""

    id: str
    private_pem: str
    private_pkcs8: str
    private_openssh: str
    public_pem: str
    public_openssh: str
    fingerprint_md5: str
    fingerprint_sha256: str


def generate(algorithm: str, rsa_bits: int, ecdsa_curve: str) -> PrivateKey:
    """A new key of `algorithm` (RSA, ECDSA or ED25519); KeyProblem for an unsupported size or curve."""
    if algorithm == "RSA":
        try:
            return generate_rsa(_RSA_PUBLIC_EXPONENT, rsa_bits)
        except ValueError as error:
            raise KeyProblem(f"an RSA key of {rsa_bits} bits cannot be made: {error}") from None
    if algorithm == "ECDSA":
        curve = _CURVES.get(ecdsa_curve)
        if curve is None:
            raise KeyProblem(f"'{ecdsa_curve}' is no supported curve; supported are {', '.join(_CURVES)}")
        return generate_ecdsa(curve())
    if algorithm == "ED25519":
        return Ed25519PrivateKey.generate()
    raise KeyProblem(f"'{algorithm}' is no supported algorithm; supported are RSA, ECDSA and ED25519")


def load(pem: str, what: str) -> PrivateKey:
    """The key in `pem`; KeyProblem, which calls the input `what`, where it is not one of the three kinds."""
    first_line = pem.strip().split("\n", 1)[0].strip()
    if first_line not in {f"-----BEGIN {pem_type}-----" for pem_type in _PEM_TYPES}:
        raise KeyProblem(
            f"{what} is not a private key in PEM form: it must begin with one of "
            + ", ".join(f"'BEGIN {pem_type}'" for pem_type in _PEM_TYPES)
        )
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # the library's own text is left out: it may quote what it could not parse
        raise KeyProblem(f"{what} does not parse as an unencrypted private key") from None
    if isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
        return key
    raise KeyProblem(f"{what} is a key of a kind that is not supported; supported are RSA, ECDSA and ED25519")


def algorithm_of(key: PrivateKey) -> str:
    """RSA, ECDSA or ED25519."""
    match key:
        case RSAPrivateKey():
            return "RSA"
        case EllipticCurvePrivateKey():
            return "ECDSA"
        case Ed25519PrivateKey():
            return "ED25519"
        case _:
            assert_never(key)


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash with which this key signs certificates: as long as the curve asks, none for Ed25519."""
    match key:
        case Ed25519PrivateKey():
            return None
        case EllipticCurvePrivateKey() if key.curve.key_size == 384:
            return hashes.SHA384()
        case EllipticCurvePrivateKey() if key.curve.key_size == 521:
            return hashes.SHA512()
        case _:
            return hashes.SHA256()


def texts(key: PrivateKey) -> KeyTexts:
    """Every text form that the official provider gives for a key."""
    public = key.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    private_format = (
        PrivateFormat.PKCS8 if isinstance(key, Ed25519PrivateKey) else PrivateFormat.TraditionalOpenSSL
    )
    has_ssh_form = not (isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP224R1))
    public_ssh = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() if has_ssh_form else ""
    blob = base64.b64decode(public_ssh.split()[1]) if has_ssh_form else b""
    return KeyTexts(
        id=hashlib.sha1(der, usedforsecurity=False).hexdigest(),
        private_pem=_private_text(key, private_format),
        private_pkcs8=_private_text(key, PrivateFormat.PKCS8),
        private_openssh=_private_text(key, PrivateFormat.OpenSSH) if has_ssh_form else "",
        public_pem=public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        public_openssh=f"{public_ssh}\n" if has_ssh_form else "",
        fingerprint_md5=_md5_fingerprint(blob) if has_ssh_form else "",
        fingerprint_sha256=_sha256_fingerprint(blob) if has_ssh_form else "",
    )


def _private_text(key: PrivateKey, form: PrivateFormat) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def _md5_fingerprint(blob: bytes) -> str:
    return hashlib.md5(blob, usedforsecurity=False).digest().hex(":")


def _sha256_fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
