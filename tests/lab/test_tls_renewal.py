"""A certificate is renewed in time by a plain `up`, or at once on request, and no client loses trust."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab import Lab
from lab.machine import LabHost
from tests.lab.program_stage import Stage

LONGEST_GAP_SECONDS = 30.0
"""How long the cache may be away while its container is replaced; some 2 s on an idle machine."""

# Asks over verified TLS, one question after the other; prints how many were answered, and the longest gap.
_QUESTIONS = """
import http.client, select, ssl, sys, time
context = ssl.create_default_context(cafile="/etc/docker/registry-cache-ca.crt")
answered, last, gap = 0, time.monotonic(), 0.0
while True:
    stopping = bool(select.select([sys.stdin], [], [], 0.05)[0])
    try:
        connection = http.client.HTTPSConnection(sys.argv[1], context=context, timeout=2)
        connection.request("GET", "/v2/")
        assert connection.getresponse().status == 200
        answered += 1
        gap, last = max(gap, time.monotonic() - last), time.monotonic()
        if stopping:
            break
    except ssl.SSLCertVerificationError:
        raise
    except OSError:
        pass
print(answered, gap)
"""


@dataclass
class Asked:
    """What a client that asks all the time got."""

    answered: int = field(default=0)
    longest_gap: float = field(default=0.0)


@dataclass
class Renewing:
    """A stack of one mirror and one client."""

    stage: Stage
    mirror: LabHost
    client: LabHost

    def served(self) -> x509.Certificate:
        """The certificate that the mirror shows."""
        show = f"openssl s_client -connect {self.mirror.address}:443 </dev/null 2>/dev/null | openssl x509"
        return x509.load_pem_x509_certificate(self.client.run(show).stdout.encode())

    def on_client(self) -> str:
        """The client's settings for Docker, with their times, and when its Docker and its container began."""
        files = "find /etc/docker -type f"
        began = "systemctl show -p ActiveEnterTimestamp docker"
        return self.client.run(
            f"{files} | xargs stat -c '%n %Y %i'; {files} | xargs sha256sum; {began}"
        ).stdout

    def pretend_that_the_end_is_near(self) -> None:
        """Edits the end that the last `up` exported."""
        state = self.stage.project.export()
        own = next(r for r in state["deployment"]["resources"] if r["type"] == "pulumi:pulumi:Stack")
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=29)
        own["outputs"]["certificates"]["mirror-1"]["notAfter"] = soon.isoformat()
        self.stage.project.cli("stack", "import", stdin=json.dumps(state))

    def changes(self) -> dict[str, str]:
        return {name: change for name, change in self.stage.changes().items() if change != "read"}

    @contextmanager
    def asking(self) -> Iterator[Asked]:
        """Has the client ask the mirror all the time, over TLS that it verifies."""
        asked = Asked()
        command = [*self.client.ssh_command(), f"python3 -c '{_QUESTIONS}' {self.mirror.address}"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield asked
        finally:
            answer, _ = process.communicate("stop\n", timeout=120)
        answered, gap = answer.split()
        asked.answered, asked.longest_gap = int(answered), float(gap)


def _key_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def renewing(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renewing]:
    lab.renew(["mirror-1"])
    lab.up(["client-1"])
    directory = tmp_path_factory.mktemp("renewing") / "clone"
    stage = Stage.of(lab, directory, plugins, ["mirror-1"], ["client-1"], mirrorsAreClients=False)
    try:
        stage.up()
        yield Renewing(stage, lab.host("mirror-1"), lab.host("client-1"))
    finally:
        stage.project.destroy(check=False)


def test_the_certificate_is_for_a_year_and_for_the_mirrors_names_and_address(renewing: Renewing) -> None:
    certificate = renewing.served()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    lasts = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert lasts == datetime.timedelta(days=365)
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [
        renewing.mirror.address
    ]
    assert names.get_values_for_type(x509.DNSName) == ["mirror-1"]


def test_a_plain_up_renews_when_the_end_is_near_after_a_preview_that_shows_it(renewing: Renewing) -> None:
    before, settings_before = renewing.served(), renewing.on_client()
    renewing.pretend_that_the_end_is_near()

    changes = renewing.changes()
    with renewing.asking() as asked:
        renewing.stage.up()

    assert changes["mirror-1-certificate"] in ("replace", "update"), changes
    assert "mirror-1-docker.io-container" in changes
    assert not [name for name in changes if name.startswith("client-1") and name != "client-1-proof"], changes
    after = renewing.served()
    assert after.serial_number != before.serial_number
    assert _key_of(after) == _key_of(before)
    assert asked.answered > 10
    print(f"the longest gap was {asked.longest_gap:.2f} s")
    assert asked.longest_gap < LONGEST_GAP_SECONDS
    assert renewing.on_client() == settings_before, "nothing on the client was touched"
    renewing.stage.project.preview("--expect-no-changes")


def test_another_rotation_renews_at_once_with_a_new_key_and_clients_pull_on(renewing: Renewing) -> None:
    before, settings_before = renewing.served(), renewing.on_client()
    renewing.stage.set(tls={"rotation": 1})
    renewing.stage.pull_as_proof("docker.io/library/redis:latest")

    with renewing.asking() as asked:
        renewing.stage.up()

    after = renewing.served()
    assert _key_of(after) != _key_of(before)
    assert after.issuer == before.issuer
    assert asked.longest_gap < LONGEST_GAP_SECONDS
    assert renewing.on_client() == settings_before
    assert "through mirror-1" in renewing.stage.project.outputs()["proofs"][0]
    renewing.stage.project.preview("--expect-no-changes")


def test_a_ca_that_must_go_is_replaced_by_one_up_and_no_docker_restarts(renewing: Renewing) -> None:
    """As docs/operations/rotation.md has it."""
    project, ca, began = renewing.stage.project, "cat /etc/docker/registry-cache-ca.crt", renewing.on_client()
    old = renewing.client.run(ca).stdout
    (key,) = [one["urn"] for one in project.resources() if one["urn"].endswith("::ca-key")]
    project.cli("state", "taint", key, "--yes")

    changes = renewing.changes()
    renewing.stage.up()

    replaced = {"ca-key", "ca-certificate", "mirror-1-certificate", "mirror-1-docker.io-container"}
    assert replaced | {"client-1-mirror-client"} <= set(changes), "the preview shows whom it concerns"
    assert renewing.client.run(ca).stdout != old
    answer = f"curl -sS --cacert /etc/docker/registry-cache-ca.crt https://{renewing.mirror.address}/v2/"
    assert renewing.client.run(answer).stdout == "{}"
    assert "through mirror-1" in project.outputs()["proofs"][0]
    assert renewing.on_client().splitlines()[-1] == began.splitlines()[-1], "Docker was not restarted"
    project.preview("--expect-no-changes")
