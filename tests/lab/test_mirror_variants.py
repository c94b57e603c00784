"""Mirrors in other shapes: by name, by IPv6, from an archive, with other keys, ports, and upstreams."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lab import Lab
from lab.machine import LabHost
from tests.lab.mirror_watch import status_of, watching
from tests.lab.program_stage import Stage, live_mirrors

MIRROR, CLIENT = "mirror-3", "client-2"
SECOND = "quay.example"
ADMIN_PATH = "PATH=$PATH:/usr/sbin:/sbin; "


def _save_image(host: LabHost, image: str, archive: Path) -> None:
    """`docker save`, on a host that can reach Docker Hub."""
    host.run(f"docker pull -q {image} && docker tag {image} registry:3")
    with archive.open("wb") as file:
        subprocess.run([*host.ssh_command(), "docker save registry:3"], stdout=file, check=True)


def _served(client: LabHost, place: str) -> x509.Certificate:
    """The certificate that is shown at a name or address with a port."""
    show = f"openssl s_client -connect {place} </dev/null 2>/dev/null | openssl x509"
    return x509.load_pem_x509_certificate(client.run(show).stdout.encode())


@pytest.fixture(scope="module")
def stage(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A mirror whose Docker cannot reach Docker Hub, by name, with RSA keys, for two upstreams."""
    lab.renew([MIRROR])
    lab.up([CLIENT])
    directory = tmp_path_factory.mktemp("variants")
    archive = directory / "registry.tar"
    _save_image(lab.host(CLIENT), lab.registry_images["3"], archive)
    # The host's own Docker is shut out, and not what passes through it from the cache's container.
    lab.host(MIRROR).run(
        f"{ADMIN_PATH}nft 'table inet shut {{ chain out {{ type filter hook output priority 0; }}; }}'; "
        "for family in 4 6; do hub=$(getent ahostsv$family registry-1.docker.io | awk 'NR==1 {print $1}'); "
        "nft add rule inet shut out ip${family#4} daddr $hub tcp dport 443 reject with tcp reset; done"
    )
    stage = Stage.of(lab, directory / "clone", plugins, [MIRROR], [CLIENT], mirrorsAreClients=False)
    name = lab.host(MIRROR).dns_name
    stage.set(
        mirrors=[{**stage.settings["mirrors"][0], "hostname": name, "dnsNames": ["hub.example.test"]}],
        tls={"algorithm": "RSA-4096"},
        registry={"image": "registry:3", "archive": str(archive)},
        upstreams=[
            {"registry": "docker.io", "port": 8443},
            {"registry": SECOND, "port": 5001, "url": "https://registry-1.docker.io"},
        ],
    )
    try:
        stage.up()
        yield stage
    finally:
        stage.project.destroy(check=False)


def test_an_image_from_an_archive_serves_where_docker_hub_is_out_of_reach(stage: Stage) -> None:
    mirror = stage.lab.host(MIRROR)

    assert mirror.run("docker pull -q docker.io/library/alpine:latest", check=False).code != 0
    assert mirror.run("docker ps --format '{{.Names}}' | sort").stdout.split() == [
        "registry-cache-docker.io",
        f"registry-cache-{SECOND}",
    ]
    assert "through mirror-3" in stage.project.outputs()["proofs"][0]
    stage.project.preview("--expect-no-changes")


def test_clients_use_the_name_that_the_mirror_is_given_and_its_certificate_is_for_every_name(
    stage: Stage,
) -> None:
    client, mirror = stage.lab.host(CLIENT), stage.lab.host(MIRROR)
    certificate = _served(client, f"{mirror.dns_name}:8443")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert live_mirrors(client) == [f"https://{mirror.dns_name}:8443"]
    assert set(names.get_values_for_type(x509.DNSName)) == {mirror.dns_name, "hub.example.test", "mirror-3"}
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [mirror.address]
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 4096


def test_each_upstream_has_a_cache_and_a_directory_of_its_own(stage: Stage) -> None:
    client, mirror = stage.lab.host(CLIENT), stage.lab.host(MIRROR)
    stage.lab.upstream.forget()

    accept = "-H 'Accept: application/vnd.oci.image.manifest.v1+json'"
    accept += " -H 'Accept: application/vnd.docker.distribution.manifest.v2+json'"
    manifest = f"https://{mirror.dns_name}:5001/v2/library/alpine/manifests/latest"
    ca = "--cacert /etc/docker/registry-cache-ca.crt"
    assert client.run(f"curl -sS {ca} {accept} -o /dev/null -w '%{{http_code}}' {manifest}").stdout == "200"

    assert {r.client for r in stage.lab.upstream.requests() if "/alpine/" in r.path} == {MIRROR}
    directory = "docker/registry/v2/repositories/library/alpine"
    assert mirror.run(f"test -d /data/docker_registry/{SECOND}/{directory}").code == 0
    hub = mirror.run(f"test -e /data/docker_registry/docker.io/{directory}", check=False)
    assert hub.code != 0, "one upstream's content is not served as another's"


def test_plain_http_from_registry_2_on_port_5000_takes_the_place_of_all_that(stage: Stage) -> None:
    lab = stage.lab
    client, mirror = lab.host(CLIENT), lab.host(MIRROR)
    mirror.run(f"{ADMIN_PATH}nft delete table inet shut")
    stage.set(
        mirrors=lab.stack([MIRROR], [])["mirrors"],
        tls={"mode": "off"},
        registry={"image": lab.registry_images["2"]},
        upstreams=[{"registry": "docker.io"}],
        cache={"directory": "/srv/registry-cache", "keepOnDestroy": False},
    )

    lab.up(["stranger"])
    with ExitStack() as watches:
        stranger = [
            watches.enter_context(watching(lab.host("stranger"), mirror.address, port))
            for port in (8443, 5001, 5000)
        ]
        stage.up()

    assert [watch.opened for watch in stranger] == [0, 0, 0], "no port is open on its way out or in"
    assert live_mirrors(client) == [f"http://{mirror.address}:5000"]
    assert mirror.run("docker ps --format '{{.Names}}'").stdout == "registry-cache-docker.io\n"
    assert "registry-cache-ca.crt" not in client.run("find /etc/docker").stdout
    ports = mirror.run(f"{ADMIN_PATH}nft list chain inet registry_cache before_docker").stdout
    assert "dport 5000 " in ports.replace("{ 5000 }", "5000 ")
    stage.project.preview("--expect-no-changes")
    stage.project.destroy()
    assert mirror.run("ls -A /var/lib/registry-cache", check=False).stdout == ""
    assert mirror.run("test -e /srv/registry-cache", check=False).code != 0


def _own_certificate(directory: Path, address: str) -> dict[str, object]:
    """The `tls` section for a certificate that some other authority signed."""
    now = datetime.datetime.now(datetime.UTC)
    lasts = (now - datetime.timedelta(hours=1), now + datetime.timedelta(days=90))
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Somebody's CA")])
    server = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])

    def builder(subject: x509.Name, of: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(authority)
        made = made.public_key(of.public_key()).serial_number(x509.random_serial_number())
        return made.not_valid_before(lasts[0]).not_valid_after(lasts[1])

    ca = builder(authority, ca_key).add_extension(x509.BasicConstraints(True, None), critical=True)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    files = {
        "caFile": ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM),
        "certificateFile": builder(server, key)
        .add_extension(names, critical=False)
        .sign(ca_key, hashes.SHA256())
        .public_bytes(Encoding.PEM),
        "privateKeyFile": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return {"mode": "own", **{name: str(directory / name) for name in files}}


def test_a_mirror_reached_by_ipv6_alone_serves_with_a_certificate_of_ones_own(
    lab: Lab, plugins: Path, tmp_path: Path
) -> None:
    lab.up([MIRROR, CLIENT])
    mirror, client = lab.host(MIRROR), lab.host(CLIENT)
    stage = Stage.of(lab, tmp_path / "clone", plugins, [MIRROR], [CLIENT], mirrorsAreClients=False)
    by_address = {MIRROR: mirror.address6, CLIENT: client.address6}
    for section in ("mirrors", "clients"):
        entries = stage.settings[section]
        stage.set(**{section: [{**entry, "address": by_address[entry["name"]]} for entry in entries]})
    stage.set(access={"networks": [lab.network.allowed[1]]}, tls=_own_certificate(tmp_path, mirror.address6))
    try:
        stage.up()

        assert live_mirrors(client) == [f"https://[{mirror.address6}]"]
        assert "through mirror-3" in stage.project.outputs()["proofs"][0]
        issuer = _served(client, f"[{mirror.address6}]:443").issuer
        assert issuer.rfc4514_string() == "CN=Somebody's CA"
        assert status_of(client, f"https://[{mirror.address6}]/v2/") == "200"
        shut = client.run(f"curl -sk --max-time 2 https://{mirror.address}/v2/", check=False)
        assert shut.code != 0, "no IPv4 network is allowed"
        stage.project.preview("--expect-no-changes")
    finally:
        stage.project.destroy(check=False)
        mirror.stop()
