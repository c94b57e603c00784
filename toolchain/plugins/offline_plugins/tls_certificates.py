"""X.509 certificates and certificate requests, as the official tls provider issues them.

Source of the rules: hashicorp/terraform-provider-tls (`common_cert.go`) and Go's crypto/x509, which decides
which extensions are critical, and when an authority key id is set unasked.
"""

import hashlib
import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from offline_plugins.tls_keys import PrivateKey, signature_hash

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

# the order in which Go writes a subject; a CA's name has to be the same byte for byte in what it issues
_SUBJECT_FIELDS: Mapping[str, ObjectIdentifier] = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}

# use in the provider's inputs -> parameter of x509.KeyUsage
_KEY_USAGES: Mapping[str, str] = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}

_EXTENDED_KEY_USAGES: Mapping[str, ObjectIdentifier] = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}


class CertificateProblem(Exception):
    """A certificate or request cannot be made or read. The text never holds key material."""


@dataclass(frozen=True)
class Names:
    """Whom a certificate is for: its subject, and its DNS names, IP addresses and URIs in that order."""

    subject: x509.Name
    alternatives: tuple[x509.GeneralName, ...]

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> "Names":
        """From a resource's inputs; CertificateProblem for an address, URI or subject that cannot be one."""
        try:
            return cls(_subject(inputs.get("subject") or {}), tuple(_alternatives(inputs)))
        except ValueError as error:
            raise CertificateProblem(str(error)) from None

    @classmethod
    def requested(cls, request: x509.CertificateSigningRequest) -> "Names":
        """What a certificate request asks for."""
        try:
            extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return cls(request.subject, ())
        return cls(request.subject, tuple(extension.value))


@dataclass(frozen=True)
class Terms:
    """What a certificate says beside its names.

    `uses` are names of `_KEY_USAGES` and `_EXTENDED_KEY_USAGES`. A `max_path_length` below 1 sets no limit,
    as with the official provider, and counts for a CA only.
    """

    hours: int
    uses: Sequence[str]
    is_ca: bool
    max_path_length: int
    set_subject_key_id: bool
    set_authority_key_id: bool

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> "Terms":
        """From a resource's checked inputs."""
        return cls(
            hours=inputs["validityPeriodHours"],
            uses=inputs["allowedUses"],
            is_ca=inputs["isCaCertificate"],
            max_path_length=inputs["maxPathLength"],
            set_subject_key_id=inputs["setSubjectKeyId"],
            set_authority_key_id=inputs.get("setAuthorityKeyId", False),
        )


@dataclass(frozen=True)
class Issuer:
    """Who signs: the key, and the certificate that it belongs to (None for a self-signed one)."""

    key: PrivateKey
    certificate: x509.Certificate | None = None


@dataclass(frozen=True)
class Issued:
    """A new certificate, with the times between which it is valid."""

    serial: int
    pem: str
    start: datetime
    end: datetime


def _subject(fields: Mapping[str, Any]) -> x509.Name:
    parts: list[x509.RelativeDistinguishedName] = []
    for name, oid in _SUBJECT_FIELDS.items():
        given = fields.get(name)
        values = given if isinstance(given, list) else [given]
        attributes = [x509.NameAttribute(oid, value) for value in values if value]
        if attributes:
            parts.append(x509.RelativeDistinguishedName(attributes))
    return x509.Name(parts)


def _alternatives(inputs: Mapping[str, Any]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in inputs.get("dnsNames") or []]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in inputs.get("ipAddresses") or []]
    names += [x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or []]
    return names


def _subject_key_id(key: PublicKey) -> bytes:
    """SHA-1 of the public key's bits (RFC 5280, 4.2.1.2); upstream takes Ed25519 in a DER octet string."""
    if isinstance(key, Ed25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return hashlib.sha1(b"\x04\x20" + raw, usedforsecurity=False).digest()
    return x509.SubjectKeyIdentifier.from_public_key(key).digest


def _authority_key_id(issuer: x509.Certificate | None, own: bytes | None) -> bytes | None:
    if issuer is None:
        return own
    try:
        return issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _with_uses(builder: x509.CertificateBuilder, uses: Sequence[str]) -> x509.CertificateBuilder:
    if any(use in _KEY_USAGES for use in uses):
        flags = {flag: use in uses for use, flag in _KEY_USAGES.items()}
        try:
            builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
        except ValueError:
            raise CertificateProblem(
                "encipher_only and decipher_only need key_agreement beside them"
            ) from None
    extended = [_EXTENDED_KEY_USAGES[use] for use in uses if use in _EXTENDED_KEY_USAGES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    return builder


def issue(names: Names, public_key: PublicKey, terms: Terms, issuer: Issuer, now: datetime) -> Issued:
    """Issue a certificate for `public_key`, valid from `now`.

    CertificateProblem where a CA has no subject, or where no authority key id can be had.
    """
    if terms.is_ca and not list(names.subject):
        raise CertificateProblem("a CA certificate needs a subject with at least one field")
    own_id = _subject_key_id(public_key) if terms.is_ca or terms.set_subject_key_id else None
    authority_id = _authority_key_id(issuer.certificate, own_id)
    if terms.set_authority_key_id and authority_id is None:
        raise CertificateProblem("setAuthorityKeyId needs setSubjectKeyId or isCaCertificate beside it")
    issuer_name = issuer.certificate.subject if issuer.certificate else names.subject
    start, end = now, now + timedelta(hours=terms.hours)
    serial = secrets.randbits(127) + 1
    builder = (
        x509.CertificateBuilder()
        .subject_name(names.subject)
        .issuer_name(issuer_name)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    builder = _with_uses(builder, terms.uses)
    path_length = terms.max_path_length if terms.is_ca and terms.max_path_length > 0 else None
    builder = builder.add_extension(
        x509.BasicConstraints(ca=terms.is_ca, path_length=path_length), critical=True
    )
    if own_id is not None:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(own_id), critical=False)
    if authority_id is not None and (terms.set_authority_key_id or issuer_name != names.subject):
        identifier = x509.AuthorityKeyIdentifier(authority_id, None, None)
        builder = builder.add_extension(identifier, critical=False)
    if names.alternatives:
        # RFC 5280, 4.2.1.6: critical where there is no subject
        alternatives = x509.SubjectAlternativeName(names.alternatives)
        builder = builder.add_extension(alternatives, critical=not list(names.subject))
    certificate = builder.sign(issuer.key, signature_hash(issuer.key))
    return Issued(serial, certificate.public_bytes(Encoding.PEM).decode(), start, end)


def request(names: Names, key: PrivateKey) -> x509.CertificateSigningRequest:
    """A certificate request for `key`, signed by it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(names.subject)
    if names.alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(names.alternatives), critical=False)
    return builder.sign(key, signature_hash(key))


def load_certificate(pem: str, what: str) -> x509.Certificate:
    """The certificate in `pem`; CertificateProblem, which calls the input `what`."""
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise CertificateProblem(f"{what} does not parse as a certificate in PEM form") from None


def load_request(pem: str, what: str) -> x509.CertificateSigningRequest:
    """The certificate request in `pem`; CertificateProblem, which calls the input `what`."""
    try:
        return x509.load_pem_x509_csr(pem.encode())
    except ValueError:
        raise CertificateProblem(f"{what} does not parse as a certificate request in PEM form") from None


def requested_key(request: x509.CertificateSigningRequest, what: str) -> PublicKey:
    """The public key that a request is about; CertificateProblem for a kind that is not supported."""
    key = request.public_key()
    if isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        return key
    raise CertificateProblem(f"{what} is for a key of a kind that is not supported")


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate says that it may sign others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
