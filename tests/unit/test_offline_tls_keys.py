"""Private keys come in the official provider's forms, and a broken one is never quoted."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from offline_plugins import tls_keys

KINDS = [
    pytest.param("RSA", "P224", "RSA PRIVATE KEY", "ssh-rsa", id="RSA"),
    pytest.param("ECDSA", "P256", "EC PRIVATE KEY", "ecdsa-sha2-nistp256", id="P256"),
    pytest.param("ECDSA", "P384", "EC PRIVATE KEY", "ecdsa-sha2-nistp384", id="P384"),
    pytest.param("ECDSA", "P521", "EC PRIVATE KEY", "ecdsa-sha2-nistp521", id="P521"),
    pytest.param("ED25519", "P224", "PRIVATE KEY", "ssh-ed25519", id="Ed25519"),
]


@pytest.mark.parametrize(("algorithm", "curve", "pem_type", "ssh_type"), KINDS)
def test_each_kind_of_key_has_all_its_forms(algorithm: str, curve: str, pem_type: str, ssh_type: str) -> None:
    texts = tls_keys.texts(tls_keys.generate(algorithm, 2048, curve))

    assert texts.private_pem.startswith(f"-----BEGIN {pem_type}-----\n")
    assert texts.private_pkcs8.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert texts.private_openssh.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert texts.public_pem.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert texts.public_openssh.startswith(f"{ssh_type} ")
    assert texts.public_openssh.endswith("\n")
    assert len(texts.id) == 40


@pytest.mark.parametrize(("algorithm", "curve", "pem_type", "ssh_type"), KINDS)
def test_every_form_is_the_same_key(algorithm: str, curve: str, pem_type: str, ssh_type: str) -> None:
    texts = tls_keys.texts(tls_keys.generate(algorithm, 2048, curve))

    assert tls_keys.texts(tls_keys.load(texts.private_pem, "it")).public_pem == texts.public_pem
    assert tls_keys.texts(tls_keys.load(texts.private_pkcs8, "it")).public_pem == texts.public_pem


def test_fingerprints_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    texts = tls_keys.texts(tls_keys.generate("ED25519", 0, ""))
    file = tmp_path / "key.pub"
    file.write_text(texts.public_openssh)

    def fingerprint(kind: str) -> str:
        command = ["ssh-keygen", "-l", "-E", kind, "-f", str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[1]

    assert fingerprint("sha256") == texts.fingerprint_sha256
    assert fingerprint("md5") == f"MD5:{texts.fingerprint_md5}"


def test_ssh_has_no_form_for_p224() -> None:
    texts = tls_keys.texts(tls_keys.generate("ECDSA", 2048, "P224"))

    assert texts.private_pem.startswith("-----BEGIN EC PRIVATE KEY-----")
    assert (texts.public_openssh, texts.private_openssh) == ("", "")
    assert (texts.fingerprint_md5, texts.fingerprint_sha256) == ("", "")


def test_the_size_of_an_rsa_key_is_kept() -> None:
    key = tls_keys.generate("RSA", 3072, "P224")

    assert isinstance(key, RSAPrivateKey)
    assert key.key_size == 3072


def test_an_impossible_size_is_an_error_that_names_it() -> None:
    with pytest.raises(tls_keys.KeyProblem, match="RSA key of 100 bits"):
        tls_keys.generate("RSA", 100, "P224")


@pytest.mark.parametrize(
    "pem",
    [
        pytest.param("no PEM at all, s3cret", id="text"),
        pytest.param("-----BEGIN CERTIFICATE-----\ns3cret\n-----END CERTIFICATE-----", id="another PEM"),
        pytest.param("-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n", id="damaged"),
        pytest.param(
            "-----BEGIN RSA PRIVATE KEY-----\nczNjcmV0\n-----END RSA PRIVATE KEY-----\n", id="no DER"
        ),
        pytest.param("", id="nothing"),
    ],
)
def test_a_key_that_does_not_parse_is_named_but_never_quoted(pem: str) -> None:
    with pytest.raises(tls_keys.KeyProblem) as problem:
        tls_keys.load(pem, "caPrivateKeyPem")

    assert "caPrivateKeyPem" in str(problem.value)
    assert "s3cret" not in str(problem.value)
    assert "czNjcmV0" not in str(problem.value)
    assert problem.value.__cause__ is None, "the library's error may hold what it could not parse"
