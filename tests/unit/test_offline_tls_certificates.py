"""Certificates say what the official provider would have them say."""

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from offline_plugins import tls_certificates, tls_keys
from offline_plugins.tls_certificates import CertificateProblem, Issued, Issuer, Names, Terms
from offline_plugins.tls_resources import KEY_USES

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEY = tls_keys.generate("ECDSA", 0, "P256")
SUBJECT = {"commonName": "mirror-1", "organization": "Registry Cache"}


def terms(**different: Any) -> Terms:
    usual = {
        "validityPeriodHours": 24,
        "allowedUses": ["server_auth"],
        "isCaCertificate": False,
        "maxPathLength": -1,
        "setSubjectKeyId": False,
        "setAuthorityKeyId": False,
    }
    return Terms.of({**usual, **different})


def self_signed(inputs: dict[str, Any] | None = None, **different: Any) -> x509.Certificate:
    names = Names.of({"subject": SUBJECT} if inputs is None else inputs)
    issued = tls_certificates.issue(names, KEY.public_key(), terms(**different), Issuer(KEY), NOW)
    return x509.load_pem_x509_certificate(issued.pem.encode())


def certificate_of(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issued.pem.encode())


def has(certificate: x509.Certificate, extension: type[x509.ExtensionType]) -> bool:
    return any(isinstance(found.value, extension) for found in certificate.extensions)


def test_a_certificate_is_valid_from_now_for_its_hours() -> None:
    certificate = self_signed(validityPeriodHours=36)

    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc == NOW + timedelta(hours=36)


def test_every_field_of_the_subject_stands_in_the_certificate() -> None:
    fields = {
        "commonName": "cn",
        "country": "DE",
        "emailAddress": "a@example.com",
        "locality": "l",
        "organization": "o",
        "organizationalUnit": "ou",
        "postalCode": "12345",
        "province": "st",
        "serialNumber": "7",
        "streetAddresses": ["1 First", "2 Second"],
    }
    subject = self_signed({"subject": fields}).subject

    found = {attribute.oid: attribute.value for attribute in subject}
    assert found[NameOID.COMMON_NAME] == "cn"
    assert found[NameOID.COUNTRY_NAME] == "DE"
    assert found[NameOID.EMAIL_ADDRESS] == "a@example.com"
    assert found[NameOID.LOCALITY_NAME] == "l"
    assert found[NameOID.ORGANIZATION_NAME] == "o"
    assert found[NameOID.ORGANIZATIONAL_UNIT_NAME] == "ou"
    assert found[NameOID.POSTAL_CODE] == "12345"
    assert found[NameOID.STATE_OR_PROVINCE_NAME] == "st"
    assert found[NameOID.SERIAL_NUMBER] == "7"
    streets = {street.value for street in subject.get_attributes_for_oid(NameOID.STREET_ADDRESS)}
    assert streets == {"1 First", "2 Second"}


def test_dns_names_addresses_and_uris_are_alternative_names_in_that_order() -> None:
    inputs = {
        "subject": SUBJECT,
        "uris": ["spiffe://example.com/mirror"],
        "ipAddresses": ["203.0.113.10", "2001:db8::1"],
        "dnsNames": ["mirror.example.com", "*.example.com"],
    }
    extension = self_signed(inputs).extensions.get_extension_for_class(x509.SubjectAlternativeName)

    assert list(extension.value) == [
        x509.DNSName("mirror.example.com"),
        x509.DNSName("*.example.com"),
        x509.IPAddress(ipaddress.ip_address("203.0.113.10")),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        x509.UniformResourceIdentifier("spiffe://example.com/mirror"),
    ]
    assert not extension.critical


def test_alternative_names_are_critical_where_there_is_no_subject() -> None:
    certificate = self_signed({"dnsNames": ["mirror.example.com"]})

    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


@pytest.mark.parametrize("address", ["203.0.113", "mirror", "203.0.113.10/24", ""])
def test_what_is_no_ip_address_is_refused(address: str) -> None:
    with pytest.raises(CertificateProblem):
        Names.of({"ipAddresses": [address]})


@pytest.mark.parametrize("use", KEY_USES)
def test_every_allowed_use_stands_in_the_certificate(use: str) -> None:
    # two of the flags mean something beside key_agreement only
    uses = [use, "key_agreement"] if use in ("encipher_only", "decipher_only") else [use]
    with_use, without = self_signed(allowedUses=uses), self_signed(allowedUses=[])

    assert has(with_use, x509.KeyUsage) != has(with_use, x509.ExtendedKeyUsage), f"{use} is of one kind"
    assert not has(without, x509.KeyUsage)
    assert not has(without, x509.ExtendedKeyUsage)
    if has(with_use, x509.KeyUsage):
        usage = with_use.extensions.get_extension_for_class(x509.KeyUsage)
        flag = {"cert_signing": "key_cert_sign", "crl_signing": "crl_sign"}.get(use, use)
        assert getattr(usage.value, flag)
        assert usage.critical


def test_extended_uses_are_those_of_their_names() -> None:
    extended = self_signed(allowedUses=["server_auth", "client_auth"]).extensions
    oids = [oid.dotted_string for oid in extended.get_extension_for_class(x509.ExtendedKeyUsage).value]

    assert oids == ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]


def test_encipher_only_without_key_agreement_is_refused() -> None:
    with pytest.raises(CertificateProblem, match="key_agreement"):
        self_signed(allowedUses=["encipher_only"])


def test_a_ca_says_so_and_has_a_key_id_unasked() -> None:
    certificate = self_signed(isCaCertificate=True, allowedUses=["cert_signing"])

    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, None)
    assert has(certificate, x509.SubjectKeyIdentifier)


def test_a_ca_without_a_subject_is_refused() -> None:
    with pytest.raises(CertificateProblem, match="subject"):
        self_signed({}, isCaCertificate=True)


@pytest.mark.parametrize(
    ("is_ca", "asked", "written"),
    [
        pytest.param(True, 2, 2, id="as asked"),
        pytest.param(True, -1, None, id="the default is no limit"),
        pytest.param(True, 0, None, id="upstream leaves 0 out"),
        pytest.param(False, 2, None, id="ignored without a CA"),
    ],
)
def test_the_path_length_counts_for_a_ca(is_ca: bool, asked: int, written: int | None) -> None:
    certificate = self_signed(isCaCertificate=is_ca, maxPathLength=asked)

    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.path_length == written


def test_key_ids_are_written_where_asked_for() -> None:
    plain = self_signed()
    certificate = self_signed(setSubjectKeyId=True, setAuthorityKeyId=True)

    assert not has(plain, x509.SubjectKeyIdentifier)
    assert not has(plain, x509.AuthorityKeyIdentifier)
    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert own == x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()).digest
    assert authority.key_identifier == own


def test_an_authority_key_id_needs_a_key_id_to_point_to() -> None:
    with pytest.raises(CertificateProblem, match="setSubjectKeyId"):
        self_signed(setAuthorityKeyId=True)


@pytest.mark.parametrize(
    ("algorithm", "curve", "digest"),
    [
        ("RSA", "", "sha256"),
        ("ECDSA", "P224", "sha256"),
        ("ECDSA", "P384", "sha384"),
        ("ECDSA", "P521", "sha512"),
    ],
)
def test_the_signature_is_as_long_as_the_key_asks(algorithm: str, curve: str, digest: str) -> None:
    key = tls_keys.generate(algorithm, 2048, curve)
    issued = tls_certificates.issue(
        Names.of({"subject": SUBJECT}), key.public_key(), terms(), Issuer(key), NOW
    )
    signed_with = certificate_of(issued).signature_hash_algorithm

    assert signed_with is not None
    assert signed_with.name == digest


def test_a_ca_signs_what_a_request_asks_for() -> None:
    ca_key = tls_keys.generate("ED25519", 0, "")
    ca_names = Names.of({"subject": {"commonName": "CA"}})
    ca_terms = terms(isCaCertificate=True, allowedUses=["cert_signing"])
    ca = certificate_of(tls_certificates.issue(ca_names, ca_key.public_key(), ca_terms, Issuer(ca_key), NOW))
    asked = Names.of({"subject": SUBJECT, "dnsNames": ["mirror.example.com"]})
    request = tls_certificates.request(asked, KEY)

    issued = tls_certificates.issue(
        Names.requested(request), KEY.public_key(), terms(), Issuer(ca_key, ca), NOW
    )

    certificate = certificate_of(issued)
    certificate.verify_directly_issued_by(ca)
    assert certificate.subject == request.subject
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == ["mirror.example.com"]
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    ca_id = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert authority.key_identifier == ca_id.digest, "Go writes it wherever the issuer has a key id"


def test_two_certificates_never_share_a_serial_number() -> None:
    assert self_signed().serial_number != self_signed().serial_number


@pytest.mark.parametrize("load", [tls_certificates.load_certificate, tls_certificates.load_request])
def test_what_does_not_parse_is_named_but_never_quoted(load: Any) -> None:
    with pytest.raises(CertificateProblem) as problem:
        load("s3cret", "caCertPem")

    assert "caCertPem" in str(problem.value)
    assert "s3cret" not in str(problem.value)
