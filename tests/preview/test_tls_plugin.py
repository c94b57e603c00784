"""The offline tls plugin through the real CLI: a chain that OpenSSL accepts, previews, renewal, secrets."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pulumi_project import Project

Projects = Callable[..., Project]

CHAIN = """
import pulumi, pulumi_tls as tls

config = pulumi.Config()
ca_key = tls.PrivateKey("ca-key", algorithm="{algorithm}", ecdsa_curve="P256", rsa_bits=2048)
ca = tls.SelfSignedCert(
    "ca",
    private_key_pem=ca_key.private_key_pem,
    subject=tls.SelfSignedCertSubjectArgs(common_name="Test CA", organization="Registry Cache"),
    allowed_uses=["cert_signing", "crl_signing"],
    validity_period_hours=48,
    is_ca_certificate=True,
    set_subject_key_id=True,
    set_authority_key_id=True,
)
key = tls.PrivateKey("key", algorithm="ECDSA", ecdsa_curve="P256")
request = tls.CertRequest(
    "request",
    private_key_pem=key.private_key_pem,
    subject=tls.CertRequestSubjectArgs(common_name="mirror-1"),
    dns_names=["mirror.example.com", *config.get_object("moreNames", [])],
    ip_addresses=["203.0.113.10", "2001:db8::10"],
)
certificate = tls.LocallySignedCert(
    "certificate",
    ca_cert_pem=ca.cert_pem,
    ca_private_key_pem=ca_key.private_key_pem,
    cert_request_pem=request.cert_request_pem,
    allowed_uses=["digital_signature", "key_encipherment", "server_auth"],
    validity_period_hours=24,
    early_renewal_hours=config.get_int("earlyRenewalHours"),
)
pulumi.export("ca", ca.cert_pem)
pulumi.export("certificate", certificate.cert_pem)
pulumi.export("key", key.private_key_pem)
pulumi.export("pkcs8", key.private_key_pem_pkcs8)
pulumi.export("due", certificate.ready_for_renewal)
"""


def chain(algorithm: str = "ECDSA") -> str:
    return CHAIN.replace("{algorithm}", algorithm)


def openssl(*arguments: str, stdin: str = "") -> str:
    """What OpenSSL says; CalledProcessError if it refuses."""
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, text=True, check=True)
    return done.stdout


def operations(project: Project) -> dict[str, str]:
    """What a preview would do to each resource, by name; replacements by their one step `replace`."""
    found: dict[str, str] = {}
    for step in project.planned():
        name = step["urn"].rsplit("::", 1)[-1]
        if "replace" in found.get(name, ""):
            continue
        found[name] = "replace" if "replace" in step["op"] else step["op"]
    return found


def stored(project: Project, name: str) -> dict[str, Any]:
    """One resource's outputs in the state."""
    [resource] = [found for found in project.resources() if found["urn"].endswith(f"::{name}")]
    outputs: dict[str, Any] = resource["outputs"]
    return outputs


@pytest.mark.parametrize("algorithm", ["ECDSA", "RSA", "ED25519"])
def test_openssl_accepts_the_chain_for_its_names_and_addresses(
    pulumi_project: Projects, tmp_path: Path, algorithm: str
) -> None:
    project = pulumi_project(chain(algorithm))
    project.up()
    made = project.outputs()
    for name in ("ca", "certificate"):
        (tmp_path / name).write_text(made[name])

    verify = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", str(tmp_path / "ca")]
    for who in (
        ["-verify_hostname", "mirror.example.com"],
        ["-verify_ip", "203.0.113.10"],
        ["-verify_ip", "2001:db8::10"],
    ):
        assert openssl(*verify, *who, str(tmp_path / "certificate")).strip().endswith(": OK")
    with pytest.raises(subprocess.CalledProcessError):
        openssl(*verify, "-verify_hostname", "other.example.com", str(tmp_path / "certificate"))
    of_certificate = openssl("x509", "-noout", "-pubkey", stdin=made["certificate"])
    assert openssl("pkey", "-pubout", stdin=made["key"]) == of_certificate, "the key is the certificate's"
    assert openssl("pkey", "-pubout", stdin=made["pkcs8"]) == of_certificate


def test_a_preview_knows_that_all_follows_from_keys_that_do_not_exist_yet(pulumi_project: Projects) -> None:
    project = pulumi_project(chain())

    shown = project.preview().text

    for line in (
        "privateKeyPem: [secret]",
        "caPrivateKeyPem    : [secret]",
        "caCertPem          : [unknown]",
        "certRequestPem     : [unknown]",
        "certificate: [unknown]",
        "due        : false",
        "+ 6 to create",
    ):
        assert line in shown
    assert project.resources() == [], "a preview makes nothing"


def test_a_second_up_changes_nothing_and_a_refresh_finds_nothing(pulumi_project: Projects) -> None:
    project = pulumi_project(chain())
    project.up()
    before = project.outputs()

    project.up("--expect-no-changes")
    project.refresh("--expect-no-changes")

    assert project.outputs() == before


def test_no_private_key_stands_in_the_state_or_is_shown(pulumi_project: Projects) -> None:
    project = pulumi_project(chain())
    shown = [project.preview(), project.up(), project.refresh(), project.preview()]
    shown.append(project.cli("stack", "output"))

    assert "PRIVATE KEY" not in json.dumps(project.export())
    for result in shown:
        assert "PRIVATE KEY" not in result.text
    assert "PRIVATE KEY" in project.outputs()["key"], "with --show-secrets it is there"


def test_another_name_replaces_request_and_certificate_and_keeps_the_keys(pulumi_project: Projects) -> None:
    project = pulumi_project(chain())
    project.up()
    before = project.outputs()
    project.configure({"test-project:moreNames": ["cache.example.com"]})

    planned = operations(project)
    project.up()

    replaced = {name for name, operation in planned.items() if operation == "replace"}
    assert replaced == {"request", "certificate"}
    after = project.outputs()
    assert (after["key"], after["ca"]) == (before["key"], before["ca"])
    assert "DNS:cache.example.com" in openssl("x509", "-noout", "-text", stdin=after["certificate"])


def test_more_hours_of_early_renewal_are_noted_without_a_new_certificate(pulumi_project: Projects) -> None:
    project = pulumi_project(chain())
    project.up()
    before = project.outputs()["certificate"]
    project.configure({"test-project:earlyRenewalHours": 1})

    assert operations(project)["certificate"] == "update"
    project.up()

    assert project.outputs()["certificate"] == before
    assert stored(project, "certificate")["earlyRenewalHours"] == 1
    project.up("--expect-no-changes")


def test_a_certificate_that_is_due_is_replaced_by_a_plain_up(pulumi_project: Projects) -> None:
    project = pulumi_project(chain(), {"test-project:earlyRenewalHours": 24})
    project.up()
    before = project.outputs()["certificate"]

    assert operations(project)["certificate"] == "replace"
    project.up()

    assert project.outputs()["certificate"] != before, "it is due from its first hour on"


def test_a_refresh_notes_that_a_certificate_is_due(pulumi_project: Projects) -> None:
    project = pulumi_project(chain(), {"test-project:earlyRenewalHours": 24})
    project.up()
    assert stored(project, "certificate")["readyForRenewal"] is False

    project.refresh()

    assert stored(project, "certificate")["readyForRenewal"] is True


def test_a_key_that_does_not_parse_is_named_and_never_shown(pulumi_project: Projects) -> None:
    program = """
import pulumi, pulumi_tls as tls

tls.SelfSignedCert(
    "certificate",
    private_key_pem=pulumi.Config().require_secret("key"),
    subject={"commonName": "x"},
    allowed_uses=["server_auth"],
    validity_period_hours=1,
)
"""
    project = pulumi_project(program)
    broken = "-----BEGIN PRIVATE KEY-----\nTm90IGEga2V5\n-----END PRIVATE KEY-----\n"
    project.set_secret("test-project:key", broken)

    failed = project.up(check=False)

    assert failed.code != 0
    assert "privateKeyPem does not parse as an unencrypted private key" in failed.text
    assert "Tm90IGEga2V5" not in failed.text
    assert [found for found in project.resources() if "selfSignedCert" in found["urn"]] == []


def test_every_wrong_input_of_a_resource_is_named_at_once(pulumi_project: Projects) -> None:
    program = """
import pulumi_tls as tls

tls.SelfSignedCert(
    "certificate", allowed_uses=["client_auth", "serve_auth"], validity_period_hours="day", subject={"cn": 1}
)
"""
    project = pulumi_project(program)

    failed = project.preview(check=False)

    assert failed.code != 0
    for named in (
        "'allowedUses[1]' must be one of",
        "'validityPeriodHours' must be a number",
        "'subject.cn' is no known input",
        "the required input 'privateKeyPem' is missing",
    ):
        assert named in failed.text


def test_a_key_cannot_be_imported_since_it_is_in_the_state_alone(pulumi_project: Projects) -> None:
    program = """
import pulumi, pulumi_tls as tls

tls.PrivateKey("key", algorithm="ED25519", opts=pulumi.ResourceOptions(import_="of-another-stack"))
"""
    failed = pulumi_project(program).up(check=False)

    assert failed.code != 0
    assert "lives in the state alone and cannot be imported" in failed.text


def test_a_secret_of_a_wrong_form_is_named_and_never_shown(pulumi_project: Projects) -> None:
    program = """
import pulumi, pulumi_tls as tls

tls.PrivateKey("key", algorithm=pulumi.Output.secret("s3cret"))
"""
    failed = pulumi_project(program).preview(check=False)

    assert failed.code != 0
    assert "'algorithm' must be one of RSA, ECDSA, ED25519" in failed.text
    assert "s3cret" not in failed.text, "the engine shows the values of properties that a failure names"


def test_the_setting_that_is_not_carried_out_is_refused_by_name(pulumi_project: Projects) -> None:
    program = """
import pulumi, pulumi_tls as tls

provider = tls.Provider("p", proxy={"url": "http://proxy.example.com"})
tls.PrivateKey("key", algorithm="ED25519", opts=pulumi.ResourceOptions(provider=provider))
"""
    failed = pulumi_project(program).preview(check=False)

    assert failed.code != 0
    assert "'proxy' is an input of the official plugin" in failed.text
