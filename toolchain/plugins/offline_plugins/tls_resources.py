"""The resource types of pulumi-tls: keys, certificate requests and certificates.

`tls_operations`, and `cryptography` with it, is loaded by the first operation and not at start-up: most runs
of a program create nothing.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from offline_plugins.diff import Change, ChangeKind, changes
from offline_plugins.handler import (
    Call,
    Created,
    Found,
    OperationError,
    Outputs,
    Plain,
    ResourceHandler,
)
from offline_plugins.spec import Computed, Field, Flag, ListOf, Number, Object, Problem, Spec, Text
from offline_plugins.values import Properties, reveal

KEY_USES = (
    "any_extended",
    "cert_signing",
    "client_auth",
    "code_signing",
    "content_commitment",
    "crl_signing",
    "data_encipherment",
    "decipher_only",
    "digital_signature",
    "email_protection",
    "encipher_only",
    "ipsec_end_system",
    "ipsec_tunnel",
    "ipsec_user",
    "key_agreement",
    "key_encipherment",
    "microsoft_commercial_code_signing",
    "microsoft_kernel_code_signing",
    "microsoft_server_gated_crypto",
    "netscape_server_gated_crypto",
    "ocsp_signing",
    "server_auth",
    "timestamping",
)

_TEXT = Field(Text(), replaces=True)
_TEXTS = Field(ListOf(Text()), replaces=True)
_FLAG = Field(Flag(), default=False, replaces=True)
_KEY = Field(Text(), required=True, secret=True, replaces=True)
_PEM = Field(Text(), required=True, replaces=True)

# the SDK has them beside the schema's inputs: write-only forms, which Terraform does not store
_WRITE_ONLY_KEY = frozenset({"privateKeyPemWo", "privateKeyPemWoVersion"})

_SUBJECT = Object(
    {
        "commonName": _TEXT,
        "country": _TEXT,
        "emailAddress": _TEXT,
        "locality": _TEXT,
        "organization": _TEXT,
        "organizationalUnit": _TEXT,
        "postalCode": _TEXT,
        "province": _TEXT,
        "serialNumber": _TEXT,
        "streetAddresses": _TEXTS,
    }
)

_NAMES = {
    "dnsNames": _TEXTS,
    "ipAddresses": _TEXTS,
    "subject": Field(_SUBJECT, replaces=True),
    "uris": _TEXTS,
}

_TERMS = {
    "allowedUses": Field(ListOf(Text(KEY_USES)), required=True, replaces=True),
    "earlyRenewalHours": Field(Number(whole=True), default=0),
    "isCaCertificate": _FLAG,
    "maxPathLength": Field(Number(whole=True), default=-1, replaces=True),
    "setSubjectKeyId": _FLAG,
    "validityPeriodHours": Field(Number(whole=True), required=True, replaces=True),
}

_ISSUED = {
    "certPem": Computed(stable=True),
    "readyForRenewal": Computed(),
    "validityEndTime": Computed(stable=True),
    "validityStartTime": Computed(stable=True),
}


class _InTheStateAlone(ResourceHandler):
    """A resource that is nowhere but in the state: there is nothing to read, and nothing to import."""

    async def read(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Found:
        """Believe the state; OperationError for an import."""
        if not state:
            raise OperationError(f"{self.spec.token} lives in the state alone and cannot be imported")
        return Found(resource_id)


class PrivateKey(_InTheStateAlone):
    """A private key that lives in the state."""

    spec = Spec(
        "tls:index/privateKey:PrivateKey",
        inputs={
            "algorithm": Field(Text(("RSA", "ECDSA", "ED25519")), required=True, replaces=True),
            "ecdsaCurve": Field(Text(("P224", "P256", "P384", "P521")), default="P224", replaces=True),
            "rsaBits": Field(Number(whole=True), default=2048, replaces=True),
        },
        outputs={
            "privateKeyOpenssh": Computed(secret=True, stable=True),
            "privateKeyPem": Computed(secret=True, stable=True),
            "privateKeyPemPkcs8": Computed(secret=True, stable=True),
            "publicKeyFingerprintMd5": Computed(stable=True),
            "publicKeyFingerprintSha256": Computed(stable=True),
            "publicKeyOpenssh": Computed(stable=True),
            "publicKeyPem": Computed(stable=True),
        },
    )

    async def create(self, call: Call, inputs: Plain) -> Created:
        """Make the key."""
        from offline_plugins import tls_operations

        return await asyncio.to_thread(tls_operations.new_key, inputs)


class CertRequest(_InTheStateAlone):
    """A certificate request."""

    spec = Spec(
        "tls:index/certRequest:CertRequest",
        inputs={**_NAMES, "privateKeyPem": _KEY},
        outputs={"certRequestPem": Computed(stable=True), "keyAlgorithm": Computed(stable=True)},
        refused=_WRITE_ONLY_KEY,
    )

    async def create(self, call: Call, inputs: Plain) -> Created:
        """Make the request."""
        from offline_plugins import tls_operations

        return tls_operations.new_request(inputs)


def is_due(valid_until: str, early_renewal_hours: int, now: datetime) -> bool:
    """Whether a certificate has to be renewed: it ends within so many hours. `valid_until` is RFC 3339."""
    return datetime.fromisoformat(valid_until) - timedelta(hours=early_renewal_hours) <= now


class _Certificate(_InTheStateAlone):
    """What both kinds of certificate share: when one is renewed, and that nothing else updates it.

    As upstream: Diff replaces a certificate that is due, a refresh writes `readyForRenewal` into the state,
    and a changed `earlyRenewalHours` alone is an update that issues nothing.
    """

    def validate(self, inputs: Properties, old_inputs: Properties) -> list[Problem]:
        plain = reveal(inputs)
        return [
            Problem((name,), f"'{name}' must be at least 0 hours")
            for name in ("earlyRenewalHours", "validityPeriodHours")
            if isinstance(plain[name], int) and plain[name] < 0
        ]

    def diff(self, old_inputs: Properties, new_inputs: Properties, state: Properties) -> list[Change]:
        found = changes(old_inputs, new_inputs)
        if reveal(state).get("readyForRenewal") is True or self._due(new_inputs, state):
            found.append(Change(("readyForRenewal",), ChangeKind.UPDATE, of_inputs=False))
        return found

    def replaces(self, change: Change, state: Properties, new_inputs: Properties) -> bool:
        if change.path == ("readyForRenewal",):
            return self._due(new_inputs, state)
        return super().replaces(change, state, new_inputs)

    def plan_create(self, inputs: Properties) -> Properties:
        return {**super().plan_create(inputs), "readyForRenewal": False}

    def plan_update(self, inputs: Properties, state: Properties) -> Properties:
        return {**super().plan_update(inputs, state), "readyForRenewal": False}

    async def update(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Outputs:
        return {"readyForRenewal": False}

    async def read(self, call: Call, resource_id: str, state: Plain, inputs: Plain) -> Found:
        found = await super().read(call, resource_id, state, inputs)
        if not is_due(state["validityEndTime"], state.get("earlyRenewalHours") or 0, datetime.now(UTC)):
            return found
        return Found(resource_id, {"readyForRenewal": True})

    def _due(self, new_inputs: Properties, state: Properties) -> bool:
        valid_until, hours = reveal(state).get("validityEndTime"), reveal(new_inputs).get("earlyRenewalHours")
        # an unknown number of hours shows as a changed input of its own
        return (
            isinstance(valid_until, str)
            and isinstance(hours, int)
            and is_due(valid_until, hours, datetime.now(UTC))
        )


class SelfSignedCert(_Certificate):
    """A certificate that its own key signs."""

    spec = Spec(
        "tls:index/selfSignedCert:SelfSignedCert",
        inputs={**_NAMES, **_TERMS, "privateKeyPem": _KEY, "setAuthorityKeyId": _FLAG},
        outputs={**_ISSUED, "keyAlgorithm": Computed(stable=True)},
        refused=_WRITE_ONLY_KEY,
    )

    async def create(self, call: Call, inputs: Plain) -> Created:
        """Issue the certificate."""
        from offline_plugins import tls_operations

        return tls_operations.new_self_signed(call, inputs)


class LocallySignedCert(_Certificate):
    """A certificate that a CA of one's own signs for a certificate request."""

    spec = Spec(
        "tls:index/locallySignedCert:LocallySignedCert",
        inputs={**_TERMS, "caCertPem": _PEM, "caPrivateKeyPem": _KEY, "certRequestPem": _PEM},
        outputs={**_ISSUED, "caKeyAlgorithm": Computed(stable=True)},
        refused=frozenset({"caPrivateKeyPemWo", "caPrivateKeyPemWoVersion"}),
    )

    async def create(self, call: Call, inputs: Plain) -> Created:
        """Issue the certificate."""
        from offline_plugins import tls_operations

        return tls_operations.new_locally_signed(call, inputs)
