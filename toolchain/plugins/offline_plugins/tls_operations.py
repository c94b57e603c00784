"""What the resource types of pulumi-tls do: make keys, requests and certificates.

Making an RSA key takes seconds and belongs in a thread; the rest takes milliseconds, and writes to the log.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding

from offline_plugins import tls_certificates, tls_keys
from offline_plugins.handler import Call, Created, OperationError, Plain
from offline_plugins.tls_certificates import Issued, Issuer, Names, Terms
from offline_plugins.values import Properties


@contextmanager
def _problems_shown() -> Iterator[None]:
    try:
        yield
    except (tls_keys.KeyProblem, tls_certificates.CertificateProblem) as problem:
        raise OperationError(str(problem)) from None


def new_key(inputs: Plain) -> Created:
    """A new private key in all its forms."""
    with _problems_shown():
        key = tls_keys.generate(inputs["algorithm"], inputs["rsaBits"], inputs["ecdsaCurve"])
    texts = tls_keys.texts(key)
    return Created(
        texts.id,
        {
            "privateKeyOpenssh": texts.private_openssh,
            "privateKeyPem": texts.private_pem,
            "privateKeyPemPkcs8": texts.private_pkcs8,
            "publicKeyFingerprintMd5": texts.fingerprint_md5,
            "publicKeyFingerprintSha256": texts.fingerprint_sha256,
            "publicKeyOpenssh": texts.public_openssh,
            "publicKeyPem": texts.public_pem,
        },
    )


def new_request(inputs: Plain) -> Created:
    """A certificate request; its id is the SHA-1 of its DER form, as upstream."""
    with _problems_shown():
        key = tls_keys.load(inputs["privateKeyPem"], "privateKeyPem")
        request = tls_certificates.request(Names.of(inputs), key)
    der = request.public_bytes(Encoding.DER)
    return Created(
        hashlib.sha1(der, usedforsecurity=False).hexdigest(),
        {
            "certRequestPem": request.public_bytes(Encoding.PEM).decode(),
            "keyAlgorithm": tls_keys.algorithm_of(key),
        },
    )


def new_self_signed(call: Call, inputs: Plain) -> Created:
    """A certificate that its own key signs; its id is the serial number."""
    with _problems_shown():
        key = tls_keys.load(inputs["privateKeyPem"], "privateKeyPem")
        names, terms = Names.of(inputs), _terms(call, inputs)
        issued = tls_certificates.issue(names, key.public_key(), terms, Issuer(key), _now())
    return Created(str(issued.serial), {**_outputs(issued), "keyAlgorithm": tls_keys.algorithm_of(key)})


def new_locally_signed(call: Call, inputs: Plain) -> Created:
    """A certificate that a CA signs for a request; its id is the serial number."""
    with _problems_shown():
        request = tls_certificates.load_request(inputs["certRequestPem"], "certRequestPem")
        ca_key = tls_keys.load(inputs["caPrivateKeyPem"], "caPrivateKeyPem")
        ca = tls_certificates.load_certificate(inputs["caCertPem"], "caCertPem")
        if not tls_certificates.is_authority(ca):
            call.log.warning(
                "caCertPem is not the certificate of a CA; what it signs may be refused by clients"
            )
        names, terms = Names.requested(request), _terms(call, inputs)
        public_key = tls_certificates.requested_key(request, "certRequestPem")
        issued = tls_certificates.issue(names, public_key, terms, Issuer(ca_key, ca), _now())
    return Created(str(issued.serial), {**_outputs(issued), "caKeyAlgorithm": tls_keys.algorithm_of(ca_key)})


def _terms(call: Call, inputs: Plain) -> Terms:
    terms = Terms.of(inputs)
    if terms.is_ca and terms.max_path_length == 0:
        call.log.warning(
            "maxPathLength 0 sets no limit, as with the official provider; 1 is the least that does"
        )
    return terms


def _now() -> datetime:
    # certificates know whole seconds
    return datetime.now(UTC).replace(microsecond=0)


def _outputs(issued: Issued) -> Properties:
    return {
        "certPem": issued.pem,
        "readyForRenewal": False,
        "validityEndTime": issued.end.isoformat(),
        "validityStartTime": issued.start.isoformat(),
    }
