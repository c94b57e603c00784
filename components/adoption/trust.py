"""Certificates as Docker sees them: whose they are, until when, and whether a CA file vouches for them."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509


@dataclass(frozen=True)
class Certificate:
    """What the first certificate of a chain says."""

    names: Sequence[str]
    """The DNS names and addresses that it is for; the common name is none, as for Go since 1.15."""
    not_after: datetime.datetime
    self_signed: bool

    def covers(self, name: str) -> bool:
        """Whether it is for that name or address."""
        wanted = name.lower().rstrip(".")
        return any(wanted == own or _matches(own, wanted) for own in self.names)


def read(pem: str) -> Certificate | None:
    """Read the first certificate in a text; None where there is none."""
    chain = _load(pem)
    if not chain:
        return None
    first = chain[0]
    return Certificate(_names(first), first.not_valid_after_utc, first.issuer == first.subject)


def verifies(pem: str, name: str, authority: str, now: int) -> bool:
    """Whether someone who trusts ``authority`` accepts the chain ``pem`` for ``name``, as Docker would."""
    chain, roots = _load(pem), _load(authority)
    if not chain or not roots:
        return False
    moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
    first = chain[0]
    certificate = read(pem)
    if certificate is None or not certificate.covers(name):
        return False
    if not first.not_valid_before_utc <= moment <= first.not_valid_after_utc:
        return False
    # Go takes a certificate that is itself among the trusted ones, CA or not.
    return any(root == first for root in roots) or _signed_by(chain, roots, moment)


def _signed_by(
    chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], moment: datetime.datetime
) -> bool:
    current, others = chain[0], list(chain[1:])
    for _ in range(len(chain) + 1):
        issuer = next((root for root in roots if _issued(current, root)), None)
        if issuer is not None:
            return issuer.not_valid_before_utc <= moment <= issuer.not_valid_after_utc
        between = next((other for other in others if _issued(current, other)), None)
        if between is None:
            return False
        current = between
        others.remove(between)
    return False


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except Exception:  # each kind of key has its own error
        return False
    return True


def _load(pem: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    names = [name.lower() for name in found.get_values_for_type(x509.DNSName)]
    return names + [str(address) for address in found.get_values_for_type(x509.IPAddress)]


def _matches(pattern: str, name: str) -> bool:
    if not pattern.startswith("*."):
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.partition(".")[2] == pattern[2:]
    return False
