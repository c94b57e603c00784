"""The CA of a stack and one server certificate for each mirror, renewed in time."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pulumi
import pulumi_tls as tls

from components.last_up import LastUp
from components.lib import renewal
from components.lib.addresses import ServerNames

CA_VALID_DAYS = 3650
HOURS_A_DAY = 24


@dataclass(frozen=True)
class KeyAlgorithm:
    """``algorithm`` is RSA or ECDSA; the other one's parameter is None. RSA keys have ``rsa_bits``."""

    algorithm: str
    rsa_bits: int | None = None
    ecdsa_curve: str | None = None


class ServerCertificate(Protocol):
    """What a registry and its clients need of a certificate, whoever issued it."""

    @property
    def ca(self) -> pulumi.Output[str]:
        """PEM of what a client has to trust."""

    @property
    def bundle(self) -> pulumi.Output[str]:
        """PEM of the chain and then the private key, a secret."""

    @property
    def fingerprint(self) -> pulumi.Output[str]:
        """Changes when the certificate does; no secret."""


@dataclass(frozen=True)
class OwnCertificate:
    """A certificate of the user's own, as PEM."""

    chain_pem: str
    private_key_pem: pulumi.Output[str]
    ca_pem: str

    @classmethod
    def from_files(
        cls, certificate: Path | None, private_key: Path | None, ca: Path | None
    ) -> OwnCertificate:
        """Reads PEM files. Without ``ca``, clients get nothing to trust beyond what they trust already."""
        if certificate is None or private_key is None:
            raise ValueError("a certificate of one's own needs certificateFile and privateKeyFile")
        return cls(
            certificate.expanduser().read_text(),
            pulumi.Output.secret(private_key.expanduser().read_text()),
            "" if ca is None else ca.expanduser().read_text(),
        )

    @property
    def ca(self) -> pulumi.Output[str]:
        """PEM of what a client has to trust."""
        return pulumi.Output.from_input(self.ca_pem)

    @property
    def bundle(self) -> pulumi.Output[str]:
        """PEM of the chain and then the private key, a secret."""
        return pulumi.Output.concat(self.chain_pem.rstrip("\n"), "\n", self.private_key_pem)

    @property
    def fingerprint(self) -> pulumi.Output[str]:
        """Changes when the certificate does; no secret."""
        return pulumi.Output.from_input(renewal.fingerprint(self.chain_pem))


@dataclass(frozen=True)
class CertificateAuthorityArgs:
    """The key algorithm."""

    key: KeyAlgorithm


class CertificateAuthority(pulumi.ComponentResource):
    """The stack's own CA. Its key never leaves the state, where it is a secret."""

    def __init__(
        self, name: str, args: CertificateAuthorityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry-cache:index:CertificateAuthority", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.key = _private_key(f"{name}-key", args.key, child)
        self.certificate = tls.SelfSignedCert(
            f"{name}-certificate",
            private_key_pem=self.key.private_key_pem,
            is_ca_certificate=True,
            validity_period_hours=CA_VALID_DAYS * HOURS_A_DAY,
            allowed_uses=["cert_signing", "crl_signing", "digital_signature"],
            set_subject_key_id=True,
            subject=tls.SelfSignedCertSubjectArgs(
                common_name=f"registry-cache {pulumi.get_stack()} CA", organization="registry-cache"
            ),
            opts=child,
        )
        self.register_outputs({})


@dataclass(frozen=True)
class IssuedCertificateArgs:
    """``issue`` names the certificate that is due: another one is issued anew, under the same key.

    Another ``rotation`` makes a new key too.
    """

    authority: CertificateAuthority
    key: KeyAlgorithm
    names: ServerNames
    valid_days: int
    renew_before_days: int
    issue: pulumi.Input[str]
    rotation: int = 0


class IssuedCertificate(pulumi.ComponentResource):
    """A mirror's server certificate, signed by the stack's CA."""

    ca: pulumi.Output[str]
    bundle: pulumi.Output[str]
    fingerprint: pulumi.Output[str]
    not_after: pulumi.Output[str]
    issue: pulumi.Output[str]

    def __init__(
        self, name: str, args: IssuedCertificateArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry-cache:index:IssuedCertificate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = _private_key(f"{name}-key-{args.rotation}", args.key, child)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            dns_names=list(args.names.dns_names),
            ip_addresses=list(args.names.ip_addresses),
            # Every input of a request replaces it, and so the certificate: this is what renews.
            subject=tls.CertRequestSubjectArgs(common_name=name, serial_number=args.issue),
            opts=child,
        )
        certificate = tls.LocallySignedCert(
            f"{name}-certificate",
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=args.authority.key.private_key_pem,
            ca_cert_pem=args.authority.certificate.cert_pem,
            validity_period_hours=args.valid_days * HOURS_A_DAY,
            early_renewal_hours=args.renew_before_days * HOURS_A_DAY,
            allowed_uses=["digital_signature", "key_encipherment", "server_auth"],
            opts=child,
        )
        self.ca = args.authority.certificate.cert_pem
        self.bundle = pulumi.Output.concat(certificate.cert_pem, key.private_key_pem)
        self.fingerprint = certificate.cert_pem.apply(renewal.fingerprint)
        self.issue = pulumi.Output.from_input(args.issue)
        self.not_after = certificate.validity_end_time
        self.register_outputs({"not_after": self.not_after})


class IssuedBefore:
    """What the last ``up`` of this stack issued, read from the stack's own outputs.

    Not every engine asks the tls provider about a certificate whose inputs are unchanged
    (pulumi-tls#39), and then its early renewal never happens in a plain ``up``. The decision is
    made here, from the end that the last ``up`` exported, and reaches the provider as an input.
    """

    def __init__(self, last_up: LastUp, now: datetime.datetime) -> None:
        self._now = now
        self._certificates: pulumi.Output[Mapping[str, Mapping[str, object]]] = last_up.output(
            "certificates"
        ).apply(lambda v: v or {})

    def next_issue(self, mirror: str, rotation: int, renew_before_days: int) -> pulumi.Output[str]:
        """The issue that is due for a mirror now: the last one, or the one after it."""
        before = datetime.timedelta(days=renew_before_days)
        return self._certificates.apply(
            lambda all_of_them: renewal.due(all_of_them.get(mirror), rotation, before, self._now)
        )


def _private_key(name: str, key: KeyAlgorithm, opts: pulumi.ResourceOptions) -> tls.PrivateKey:
    return tls.PrivateKey(
        name, algorithm=key.algorithm, rsa_bits=key.rsa_bits, ecdsa_curve=key.ecdsa_curve, opts=opts
    )
