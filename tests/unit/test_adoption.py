"""What hosts of guides tell is judged and becomes a stack: tables, and recordings of real hosts."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from components.adoption import (
    exposure,
    facts,
    findings,
    proposal,
    registry_keys,
    stack_file,
    throwaway,
    trust,
)
from components.adoption.facts import DockerClient, Firewall, HostFacts, Published, Registry
from components.adoption.findings import Inspected
from components.settings import Settings
from tests.unit.settings_sample import ECDSA_KEY, ED25519_KEY, make_home

RECORDINGS = Path(__file__).parent / "adoption_facts"
NOW = 1_795_571_000
HTTP_MIRROR, TLS_MIRROR, CLIENT = "10.213.222.23", "10.213.222.22", "10.213.222.21"


def recorded(name: str) -> HostFacts:
    """What inspect_host.sh said on a host of the lab that was set up by a guide's commands."""
    return facts.parse((RECORDINGS / f"{name}.txt").read_text())


def registry_named(host: HostFacts, name: str) -> Registry:
    return next(found for found in host.registries if found.name == name)


def codes(host: Inspected, *others: Inspected) -> dict[str, set[str]]:
    """The codes of the findings by what they are about: a container's name, or the client."""
    found: dict[str, set[str]] = {}
    names = {registry.name for registry in host.facts.registries}
    for finding in findings.find([host, *others]):
        if finding.host == host.name:
            about = finding.what.partition(":")[0]
            found.setdefault(about if about in names else "client", set()).add(finding.code)
    return found


SIMPLE = Registry(
    name="registry-cache",
    image="registry:2",
    user="",
    running=True,
    restart="always",
    auto_remove=False,
    network="bridge",
    published=[Published("0.0.0.0", 5000, 5000)],
    read_only=False,
    privileged=False,
    log_limited=True,
    compose=None,
    swarm=None,
    ours=False,
    environment={"REGISTRY_PROXY_REMOTEURL": "https://registry-1.docker.io"},
    settings={
        ("proxy", "remoteurl"): "https://registry-1.docker.io",
        ("storage", "delete", "enabled"): "true",
    },
    configuration_path="/etc/docker/registry/config.yml",
    mounts=[("/data/docker_registry", "/var/lib/registry")],
    data=[
        facts.Data("/data/docker_registry", "/var/lib/registry", "bind", "0:0", 3, 5 * 2**30, 2**39, 2**38)
    ],
)
SHUT = Firewall(
    firewalld=False,
    iptables=["*raw", "-A PREROUTING ! -s 10.0.0.0/8 -p tcp --dport 5000 -j DROP"],
    nft="",
    zone_ports={},
)
OPEN = Firewall(firewalld=False, iptables=[], nft="", zone_ports={})
DOCKER = DockerClient("28.5.2", False, [], [], [], [], {}, [], {}, {})


def host_with(
    *registries: Registry,
    client: DockerClient | None = DOCKER,
    firewall: Firewall = SHUT,
    name: str = "mirror-1",
    address: str = "203.0.113.10",
) -> Inspected:
    here = HostFacts("Rocky Linux 9.4", NOW, [f"{address}/24"], firewall, registries, client, [])
    return Inspected(name, address, here)


def changed(**changes: Any) -> Registry:
    return dataclasses.replace(SIMPLE, **changes)


def with_settings(**settings: str | None) -> Registry:
    """The simple one with environment variables added."""
    environment = {**SIMPLE.environment, **settings}
    return changed(
        environment=environment, settings=facts.settings_of("storage: {delete: {enabled: true}}", environment)
    )


def made_certificate(
    *names: str, days: int = 365, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None = None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0] if names else "203.0.113.10")])
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(issuer[0].subject if issuer else subject)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=400))
    builder = builder.not_valid_after(now + datetime.timedelta(days=days))
    if names:
        alternatives: list[x509.GeneralName] = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(*names: str, days: int = 365) -> str:
    return text_of(made_certificate(*names, days=days)[0])


def text_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def serving_tls(certificate: str, **changes: Any) -> Registry:
    settings = {**SIMPLE.settings, ("http", "tls", "certificate"): "/certs/domain.crt"}
    return changed(
        settings=settings,
        certificate=certificate,
        certificate_path="/certs/domain.crt",
        key_path="/certs/domain.key",
        key_mode="-rw-------",
        mounts=[*SIMPLE.mounts, ("/certs", "/certs")],
        **changes,
    )


# --- recordings of real hosts


def test_a_mirror_of_a_guide_with_firewalld_is_read_and_judged() -> None:
    host = Inspected("mirror-1", HTTP_MIRROR, recorded("firewalld-http"))
    (cache,) = host.caches

    assert (cache.name, cache.upstream, cache.scheme) == (
        "registry-cache",
        "https://registry-1.docker.io",
        "http",
    )
    assert [way.port for way in cache.ways_in] == [5000]
    assert cache.data[0].directory == "/data/docker_registry"
    assert cache.data[0].repositories == 1
    assert list(cache.pulls) == [CLIENT], "clients are seen by their own addresses"
    assert codes(host)["registry-cache"] == {
        *(
            "size-limit-does-nothing",
            "deletion-off",
            "no-updates",
            "unpinned",
            "runs-as-root",
            "writable-root",
        ),
        *("log-without-limit", "secret-in-environment", "no-tls", "open-to-all", "private-images-open"),
        "rule-does-nothing",
    }


def test_a_mirror_of_a_guide_with_iptables_and_tls_is_read_and_judged() -> None:
    host = Inspected("mirror-2", TLS_MIRROR, recorded("iptables-tls"))
    (cache,) = host.caches

    assert cache.scheme == "https"
    assert cache.on_host(cache.key_path) == "/certs/domain.key"
    found = codes(host)["registry"]
    assert {"certificate-without-san", "open-to-all", "rule-does-nothing"} <= found
    assert not found & {"no-tls", "size-limit-does-nothing", "secret-in-environment", "key-readable"}


def test_what_people_run_in_other_ways_is_told_apart() -> None:
    host = Inspected("mirror-1", HTTP_MIRROR, recorded("variants"))
    found = codes(host)

    assert {registry.name: registry.upstream is None for registry in host.facts.registries}["private"]
    assert found["private"] == {"not-a-cache"}
    assert {"removed-when-stopped", "data-in-volume"} <= found["local-only"]
    assert "open-to-all" not in found["local-only"], "it listens on 127.0.0.1"
    assert registry_named(host.facts, "local-only").upstream == "https://registry-1.docker.io", (
        "quotes are none"
    )
    assert {"no-restart", "by-compose", "stopped"} <= found["ghcr"]
    assert {"unknown-setting", "size-limit-does-nothing", "cache-beside-deletion"} <= found["by-file"]
    assert "deletion-off" not in found["by-file"]
    assert "open-to-all" not in found["by-file"], "an nftables table of theirs limits it"
    assert "open-to-all" not in found["docker-hub-cache"], "DOCKER-USER limits it"
    assert "secret-in-environment" in found["docker-hub-cache"], "the proxy's address has a login in it"
    assert "open-to-all" not in found["mirror"], "the raw table limits it"
    assert [way.port for way in registry_named(host.facts, "in-host-network").ways_in] == [5443]


@pytest.mark.parametrize("name", ["firewalld-http", "iptables-tls", "client", "variants"])
def test_no_recording_has_a_secret_that_was_set(name: str) -> None:
    """The containers had these; the script shows the names of their settings alone."""
    text = (RECORDINGS / f"{name}.txt").read_text()
    for secret in ("hunter22", "s3cret", "correct-horse", "ann"):
        assert secret not in text.split()
        assert f"={secret}" not in text
    assert "PRIVATE KEY" not in text


def test_an_answer_that_is_cut_short_is_refused() -> None:
    text = (RECORDINGS / "client.txt").read_text()
    with pytest.raises(ValueError, match="cut short"):
        facts.parse(text[: len(text) // 2])


# --- findings about containers


@pytest.mark.parametrize(
    ("registry", "code"),
    [
        (with_settings(REGISTRY_STORAGE_FILESYSTEM_MAXSIZE=None), "size-limit-does-nothing"),
        (with_settings(REGISTRY_STORAGE_QUOTA="10G"), "size-limit-does-nothing"),
        (with_settings(REGISTRY_STORAGE_CACHE_LIMIT="1G"), "size-limit-does-nothing"),
        (with_settings(REGISTRY_PROXY_CACHETTL="1h"), "unknown-setting"),
        (with_settings(REGISTRY_STORAGE_CACHE_BLOBDESCRIPTORS="inmemory"), "unknown-setting"),
        (with_settings(REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR="inmemory"), "cache-beside-deletion"),
        (with_settings(REGISTRY_STORAGE_DELETE_ENABLED="false"), "deletion-off"),
        (with_settings(REGISTRY_AUTH="htpasswd"), "login-on-mirror"),
        (with_settings(REGISTRY_PROXY_PASSWORD=None), "secret-in-environment"),
        (with_settings(REGISTRY_HTTP_SECRET=None), "secret-in-environment"),
        (with_settings(HTTPS_PROXY="http://***@203.0.113.3:3128"), "secret-in-environment"),
        (changed(image="registry:2.8.3"), "no-updates"),
        (changed(image="registry:2.8.3"), "unpinned"),
        (changed(image="registry", configuration_path="/etc/docker/registry/config.yml"), "no-updates"),
        (changed(user="0:0"), "runs-as-root"),
        (changed(privileged=True), "privileged"),
        (changed(running=False), "stopped"),
        (changed(restart="no"), "no-restart"),
        (changed(auto_remove=True, restart="no"), "removed-when-stopped"),
        (changed(swarm="registry-mirror"), "by-swarm"),
        (changed(compose="mirror"), "by-compose"),
        (changed(log_limited=False), "log-without-limit"),
        (changed(mounts=[], data=[]), "data-in-container"),
        (changed(data=[dataclasses.replace(SIMPLE.data[0], kind="volume")]), "data-in-volume"),
        (changed(data=[dataclasses.replace(SIMPLE.data[0], free=2**33)]), "disk-low"),
        (changed(published=[]), "unpublished"),
        (changed(settings={("storage", "delete", "enabled"): "true"}), "not-a-cache"),
        (serving_tls(pem("203.0.113.10", days=-1)), "certificate-expired"),
        (serving_tls(pem("203.0.113.10", days=29)), "certificate-near-end"),
        (serving_tls(pem()), "certificate-without-san"),
        (serving_tls(pem("hub.example.org")), "certificate-for-others"),
        (serving_tls(""), "no-certificate"),
        (dataclasses.replace(serving_tls(pem("203.0.113.10")), key_mode="-rw-r--r--"), "key-readable"),
    ],
)
def test_each_thing_that_is_wrong_is_found(registry: Registry, code: str) -> None:
    assert code in codes(host_with(registry))["registry-cache"]


def test_a_mirror_in_good_order_gives_no_finding_but_that_it_is_not_ours() -> None:
    good = dataclasses.replace(
        serving_tls(pem("203.0.113.10")),
        image="registry:3.1.1@sha256:" + "a" * 64,
        configuration_path="/etc/distribution/config.yml",
        user="1000:1000",
        read_only=True,
    )
    client = dataclasses.replace(
        DOCKER,
        live=["https://203.0.113.10:5000"],
        trusted={"/etc/docker/certs.d/203.0.113.10:5000/ca.crt": good.certificate},
    )
    assert findings.find([host_with(good, client=client)]) == []


def test_caches_of_a_stack_are_not_judged() -> None:
    assert findings.find([host_with(changed(ours=True))]) == []


def test_no_value_of_a_secret_setting_stands_in_a_finding() -> None:
    registry = with_settings(HTTPS_PROXY="http://***@203.0.113.3:3128", REGISTRY_PROXY_PASSWORD="hunter22")
    for finding in findings.find([host_with(registry)]):
        assert "hunter22" not in finding.what + finding.remedy


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("storage.filesystem.rootdirectory", True),
        ("storage.filesystem.maxsize", False),
        ("storage.maxsize", False),
        ("storage.s3.bucket", True),
        ("storage.delete", True),
        ("proxy.ttl", True),
        ("proxy.remoteurls", False),
        ("http.tls.letsencrypt.email", True),
        ("http.headers.X-Content-Type-Options", True),
        ("garbagecollect.enabled", False),
    ],
)
def test_settings_that_a_registry_knows(path: str, known: bool) -> None:
    assert registry_keys.is_known(path.split(".")) is known


# --- who reaches the port

DOCKERS = [
    "*filter",
    "-A FORWARD -j DOCKER-USER",
    "-A FORWARD -j DOCKER-FORWARD",
    "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 5000 -j ACCEPT",
    "-A DOCKER ! -i docker0 -o docker0 -j DROP",
]
OURS = """table inet registry_cache {
\tchain before_docker {
\t\ttype filter hook prerouting priority raw - 10; policy accept;
\t\tip saddr != @allowed4 tcp dport { 5000 } fib daddr type local drop
\t}
}
"""


@pytest.mark.parametrize(
    ("rules", "nft", "is_open", "idle", "unreached"),
    [
        ([], "", True, 0, 0),
        (["-A INPUT -p tcp -m tcp --dport 5000 -j ACCEPT"], "", True, 1, 0),
        (["-A INPUT ! -s 10.0.0.0/8 -p tcp -m tcp --dport 5000 -j DROP"], "", True, 1, 0),
        (["-A INPUT -p tcp -m multiport --dports 80,5000 -j ACCEPT"], "", True, 1, 0),
        (["-A INPUT -p tcp -m tcp --dport 5001 -j ACCEPT"], "", True, 0, 0),
        (["-A DOCKER-USER ! -s 10.0.0.0/8 -p tcp -m tcp --dport 5000 -j DROP"], "", False, 0, 0),
        (["-A DOCKER-USER ! -s 10.0.0.0/8 -i eth0 -j DROP"], "", False, 0, 0),
        (["-A DOCKER-USER -p tcp -m conntrack --ctorigdstport 5000 -j REJECT"], "", False, 0, 0),
        (["-A DOCKER-USER -m conntrack --ctstate INVALID -j DROP"], "", True, 0, 0),
        (["-A DOCKER-USER -j RETURN"], "", True, 0, 0),
        (["-A DOCKER-USER -j RETURN", "-A DOCKER-USER ! -s 10.0.0.0/8 -i eth0 -j DROP"], "", True, 0, 1),
        (["-A FORWARD -j REJECT --reject-with icmp-host-prohibited"], "", True, 0, 0),
        (["*raw", "-A PREROUTING ! -s 10.0.0.0/8 -p tcp -m tcp --dport 5000:5010 -j DROP"], "", False, 0, 0),
        (["*raw", "-A PREROUTING -d 172.17.0.2/32 ! -i docker0 -j DROP"], "", True, 0, 0),
        ([], OURS, False, 0, 0),
        ([], OURS.replace("5000", "443"), True, 0, 0),
        ([], OURS.replace("hook prerouting", "hook input"), True, 0, 0),
    ],
)
def test_only_what_stands_before_dockers_own_rules_limits_a_port(
    rules: Sequence[str], nft: str, is_open: bool, idle: int, unreached: int
) -> None:
    firewall = Firewall(firewalld=False, iptables=[*DOCKERS, *rules], nft=nft, zone_ports={})
    seen = exposure.of(SIMPLE, SIMPLE.ways_in[0], firewall)
    assert (seen.open, len(seen.idle), len(seen.unreached)) == (is_open, idle, unreached)


@pytest.mark.parametrize(
    ("firewalld", "zones", "rules", "is_open"),
    [
        (True, {"public": ["5000/tcp"]}, [], True),
        (True, {"public": ["22/tcp"]}, [], False),
        (False, {}, [], True),
        (False, {}, [":INPUT DROP [0:0]"], False),
        (False, {}, ["-A INPUT -j REJECT --reject-with icmp-host-prohibited"], False),
        (False, {}, ["-A INPUT -p tcp --dport 5000 -j ACCEPT", "-A INPUT -j REJECT"], True),
        (False, {}, ["-A INPUT -s 10.0.0.0/8 -p tcp --dport 5000 -j ACCEPT", "-A INPUT -j REJECT"], False),
    ],
)
def test_with_the_hosts_network_its_own_firewall_decides(
    firewalld: bool, zones: Mapping[str, Sequence[str]], rules: Sequence[str], is_open: bool
) -> None:
    registry = changed(network="host")
    firewall = Firewall(firewalld=firewalld, iptables=["*filter", *rules], nft="", zone_ports=zones)
    assert exposure.of(registry, registry.ways_in[0], firewall).open is is_open


# --- findings about clients

HTTP_URL, HTTPS_URL = "http://203.0.113.10:5000", "https://203.0.113.10:5000"
GOOD = pem("203.0.113.10")
CA_FILE = "/etc/docker/certs.d/203.0.113.10:5000/ca.crt"


@pytest.mark.parametrize(
    ("cache", "client", "expected"),
    [
        (SIMPLE, {}, {"no-mirror"}),
        (SIMPLE, {"live": [HTTP_URL]}, set()),
        (SIMPLE, {"live": ["https://elsewhere.example"]}, {"other-mirror"}),
        (SIMPLE, {"live": [HTTPS_URL]}, {"wrong-scheme"}),
        (
            SIMPLE,
            {"live": [HTTPS_URL], "insecure": ["203.0.113.10:5000"]},
            {"wrong-scheme", "insecure-registry"},
        ),
        (SIMPLE, {"live": [f"{HTTP_URL}/v2"]}, {"path-in-mirror"}),
        (SIMPLE, {"live": [HTTP_URL], "reached": {HTTP_URL: "000"}}, {"unreachable"}),
        (SIMPLE, {"live": [HTTP_URL], "reached": {HTTP_URL: "404"}}, {"not-a-registry"}),
        (SIMPLE, {"configured": [HTTP_URL]}, {"not-reloaded"}),
        (
            SIMPLE,
            {"live": [HTTP_URL], "arguments": [f"--registry-mirror={HTTP_URL}"]},
            {"mirror-on-command-line"},
        ),
        (serving_tls(GOOD), {"live": [HTTPS_URL]}, {"untrusted"}),
        (serving_tls(GOOD), {"live": [HTTPS_URL], "trusted": {CA_FILE: GOOD}}, set()),
        (serving_tls(GOOD), {"live": [HTTPS_URL], "trusted": {CA_FILE: pem("203.0.113.10")}}, {"untrusted"}),
        (
            serving_tls(GOOD),
            {"live": [HTTPS_URL], "trusted": {CA_FILE: GOOD}, "containerd_store": True},
            {"ca-not-used"},
        ),
        (serving_tls(pem()), {"live": [HTTPS_URL], "insecure": ["203.0.113.10:5000"]}, {"insecure-registry"}),
        (
            SIMPLE,
            {"live": ["http://hub.lan:5000"], "resolved": {"http://hub.lan:5000": "203.0.113.10"}},
            set(),
        ),
    ],
)
def test_clients_that_go_past_the_mirror_are_found(
    cache: Registry, client: Mapping[str, Any], expected: set[str]
) -> None:
    web = host_with(client=dataclasses.replace(DOCKER, **client), name="web-1", address="203.0.113.21")
    assert codes(web, host_with(cache)).get("client", set()) == expected


# --- trust


def test_a_chain_is_trusted_by_its_ca_for_its_names_and_time() -> None:
    authority = made_certificate("Some CA")
    served, _ = made_certificate("203.0.113.10", "*.lan", issuer=authority)
    chain, ca = text_of(served), text_of(authority[0])

    assert trust.verifies(chain, "203.0.113.10", ca, NOW)
    assert trust.verifies(chain, "hub.lan", ca, NOW)
    assert not trust.verifies(chain, "a.hub.lan", ca, NOW)
    assert not trust.verifies(chain, "203.0.113.11", ca, NOW)
    assert not trust.verifies(chain, "203.0.113.10", pem("Some CA"), NOW), "another CA of the same name"
    assert not trust.verifies(chain, "203.0.113.10", ca, NOW + 366 * 86400)
    assert not trust.verifies(chain, "203.0.113.10", "", NOW)


# --- the stack

BASE = {
    "ssh": {"privateKeyFile": "~/.ssh/id_ed25519"},
    "mirrors": [{"name": "mirror-1", "address": "203.0.113.10", "hostKey": ECDSA_KEY}],
    "clients": [{"name": "web-1", "address": "203.0.113.21", "hostKey": ED25519_KEY}],
}
WEB = host_with(client=dataclasses.replace(DOCKER, live=[HTTP_URL]), name="web-1", address="203.0.113.21")


def proposed(*hosts: Inspected, base: Mapping[str, Any] = BASE) -> proposal.Proposal:
    found = proposal.propose(hosts, base, [entry["name"] for entry in base.get("clients", [])])
    assert found is not None
    return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_home(tmp_path / "home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def loaded(project: Path, found: proposal.Proposal) -> Settings:
    """The stack as the program reads it from the text."""
    config = yaml.safe_load(stack_file.render(found.sections, found.reasons))["config"]
    sections = {key.removeprefix("registry-cache:"): value for key, value in config.items()}
    with throwaway.files_in_place_of_missing(sections, project) as (whole, _):
        return Settings.load(whole, project)


def test_the_stack_keeps_address_scheme_port_and_data(project: Path) -> None:
    settings = loaded(project, proposed(host_with(SIMPLE), WEB))
    mirror, upstream = settings.mirrors[0], settings.upstreams[0]

    assert settings.url(mirror, upstream) == HTTP_URL
    assert settings.data_directory(mirror, upstream) == "/data/docker_registry"
    assert mirror.replaces[0].container == "registry-cache"
    assert settings.access.networks == ("203.0.113.0/24",)
    assert settings.cache.limit == "10GiB"


@pytest.mark.parametrize(
    ("used", "repositories", "limit"),
    [
        (0, 0, "10GiB"),
        (100 * 2**30, 3, "150GiB"),
        (None, 3, None),
        # Not what is there: a limit by it would have the collector take most of it.
        (0, 3, None),
    ],
)
def test_a_limit_is_proposed_by_what_is_there_alone(
    used: int | None, repositories: int, limit: str | None
) -> None:
    data = dataclasses.replace(SIMPLE.data[0], used=used, repositories=repositories)
    sections = proposed(host_with(changed(data=[data])), WEB).sections
    assert sections.get("cache", {}).get("limit") == limit


HUB_5001 = host_with(
    client=dataclasses.replace(DOCKER, live=["http://203.0.113.10:5001"]),
    name="web-1",
    address="203.0.113.21",
)


@pytest.mark.parametrize(
    ("ways", "client", "port", "gone"),
    [
        (["0.0.0.0 5000", ":: 5000"], WEB, 5000, []),
        (["127.0.0.1 5000", "203.0.113.10 5000"], WEB, 5000, []),
        (["0.0.0.0 5001", "0.0.0.0 5000"], WEB, 5000, ["5001"]),
        (["0.0.0.0 5000", "0.0.0.0 5001"], HUB_5001, 5001, ["5000"]),
        # Nobody seen here uses either.
        (["0.0.0.0 5002", "0.0.0.0 5000"], HUB_5001, 5000, ["5002"]),
        (["0.0.0.0 5003", "0.0.0.0 5002"], HUB_5001, 5003, ["5002"]),
        # What only the host itself reaches is no port for clients.
        (["127.0.0.1 5001", "0.0.0.0 5000"], HUB_5001, 5000, ["5001"]),
    ],
)
def test_of_several_ports_the_one_that_clients_know_stays_and_the_others_are_named(
    ways: Sequence[str], client: Inspected, port: int, gone: Sequence[str]
) -> None:
    published = [Published(way.split()[0], int(way.split()[1]), 5000) for way in ways]
    found = proposed(host_with(changed(published=published)), client)
    assert [entry["port"] for entry in found.sections["upstreams"]] == [port]
    named = [note.partition(",")[0] for note in found.reasons["upstreams"] if "takeover" in note]
    assert named == [f"registry-cache on mirror-1 is at port {other} too" for other in gone]


@pytest.mark.parametrize(
    ("address", "reason"), [("127.0.0.1", "from the host itself only (127.0.0.1)"), (None, "at no port")]
)
def test_a_cache_that_no_client_reaches_is_left_out(address: str | None, reason: str) -> None:
    published = [Published(address, 5000, 5000)] if address else []
    found = proposed(host_with(changed(published=published)), WEB)
    assert reason in " ".join(found.left_out)


def test_the_recorded_hosts_make_a_stack_that_loads(project: Path) -> None:
    keys = {"hostKey": ED25519_KEY}
    base = {
        **BASE,
        "mirrors": [
            {"name": "mirror-1", "address": HTTP_MIRROR, **keys},
            {"name": "mirror-2", "address": TLS_MIRROR, **keys},
        ],
        "clients": [{"name": "web-1", "address": CLIENT, **keys}],
    }
    hosts = [
        Inspected("mirror-1", HTTP_MIRROR, recorded("firewalld-http")),
        Inspected("mirror-2", TLS_MIRROR, recorded("iptables-tls")),
        Inspected("web-1", CLIENT, recorded("client")),
    ]
    found = proposed(*hosts, base=base)

    settings = loaded(project, found)

    assert [mirror.name for mirror in settings.mirrors] == ["mirror-1"]
    assert settings.url(settings.mirrors[0], settings.upstreams[0]) == f"http://{HTTP_MIRROR}:5000"
    assert any("speaks https" in reason for reason in found.left_out)
    assert any(reason.startswith("mirror-2 is no mirror of this stack") for reason in found.left_out)
    assert any("passwordFile" in step for step in found.before), "it had one in its environment"


def test_of_several_caches_of_one_registry_on_a_host_the_one_in_use_is_taken(project: Path) -> None:
    base = {
        **BASE,
        "mirrors": [{"name": "mirror-1", "address": HTTP_MIRROR, "hostKey": ED25519_KEY}],
        "clients": [],
    }
    found = proposed(Inspected("mirror-1", HTTP_MIRROR, recorded("variants")), base=base)
    settings = loaded(project, found)

    taken = {entry.registry: entry.container for entry in settings.mirrors[0].replaces}
    assert set(taken) == {"docker.io", "ghcr.io"}
    assert taken["docker.io"] in ("by-file", "docker-hub-cache", "mirror")
    assert any("local-only cannot be stopped and started again" in reason for reason in found.left_out)
    assert sum("as " in reason and "on the same host" in reason for reason in found.left_out) == 3


@pytest.mark.parametrize(
    ("registry", "mode", "own"),
    [
        (SIMPLE, "off", False),
        (serving_tls(GOOD), "own", True),
        (serving_tls(pem()), "self-signed", False),
        (serving_tls(pem("203.0.113.10", days=-1)), "self-signed", False),
        (serving_tls(pem("203.0.113.10", days=5)), "own", True),
    ],
)
def test_a_certificate_stays_where_a_client_can_be_relying_on_it(
    project: Path, registry: Registry, mode: str, own: bool
) -> None:
    found = proposed(host_with(registry), WEB)
    settings = loaded(project, found)

    assert settings.tls.mode == mode
    assert [(fetch.path, fetch.secret) for fetch in found.fetches] == (
        [("/certs/domain.crt", False), ("/certs/domain.key", True)] if own else []
    )
    assert settings.upstreams[0].port == 5000


def test_the_ca_of_a_signed_certificate_is_looked_for_on_the_clients(project: Path) -> None:
    authority = made_certificate("Some CA")
    served = text_of(made_certificate("203.0.113.10", issuer=authority)[0])
    trusting = dataclasses.replace(DOCKER, live=[HTTPS_URL], trusted={CA_FILE: text_of(authority[0])})
    web = host_with(client=trusting, name="web-1", address="203.0.113.21")

    found = proposed(host_with(serving_tls(served)), web)

    assert [(fetch.host, fetch.path) for fetch in found.fetches][-1] == ("web-1", CA_FILE)
    assert loaded(project, found).tls.ca_file is not None


@pytest.mark.parametrize(
    ("upstream", "used", "registry", "url"),
    [
        ("https://registry-1.docker.io", True, "docker.io", None),
        ("https://index.docker.io", True, "docker.io", "https://index.docker.io"),
        ("https://ghcr.io", False, "ghcr.io", None),
        ("https://quay.io", True, "quay.io", None),
        ("https://mirror.example.org", True, "docker.io", "https://mirror.example.org"),
        ("https://mirror.example.org", False, "mirror.example.org", None),
        ("https://***@registry.example.org:8443", False, "registry.example.org:8443", None),
    ],
)
def test_the_registry_of_a_cache_is_told_by_its_upstream_and_its_use(
    project: Path, upstream: str, used: bool, registry: str, url: str | None
) -> None:
    cache = changed(settings={**SIMPLE.settings, ("proxy", "remoteurl"): upstream})
    web = WEB if used else host_with(name="web-1", address="203.0.113.21")

    settings = loaded(project, proposed(host_with(cache), web))

    entry = next(entry for entry in settings.upstreams if entry.port == 5000)
    assert (entry.registry, entry.url) == (registry, url)
    assert settings.mirrors[0].replaces[0].registry == registry


def test_a_name_that_all_clients_use_becomes_the_mirrors(project: Path) -> None:
    url = "http://hub.lan:5000"
    named = dataclasses.replace(DOCKER, live=[url], resolved={url: "203.0.113.10"})
    web = host_with(client=named, name="web-1", address="203.0.113.21")

    settings = loaded(project, proposed(host_with(SIMPLE), web))

    assert settings.url(settings.mirrors[0], settings.upstreams[0]) == url


def test_whoever_pulled_lately_is_let_in(project: Path) -> None:
    pulls = {"203.0.113.77": 3, "198.51.100.4": 1, "172.17.0.1": 9, "2001:db8::9": 1, "172.20.5.31": 4}
    here = host_with(changed(pulls=pulls))
    here = dataclasses.replace(
        here, facts=dataclasses.replace(here.facts, docker_networks=["172.17.0.0/16", "fd00:17::/64"])
    )
    found = proposed(here, WEB)
    assert set(loaded(project, found).access.networks) == {
        *("203.0.113.0/24", "198.51.100.4/32", "2001:db8::9/128"),
        # One of a routed network, though many a bridge of Docker's is in that range.
        "172.20.5.31/32",
    }
    notes = " ".join(found.reasons["access"])
    assert "4 addresses pulled" in notes, "those of the mirror's own containers are not counted"
    assert "172.20.5.31" in notes.partition("Not on the mirrors' own networks:")[2]


def test_caches_that_begin_empty_get_a_place_beside_the_data_in_place(project: Path) -> None:
    base = {**BASE, "upstreams": [{"registry": "docker.io"}, {"registry": "quay.io", "port": 5002}]}
    settings = loaded(project, proposed(host_with(SIMPLE), WEB, base=base))
    mirror = settings.mirrors[0]
    assert [settings.data_directory(mirror, upstream) for upstream in settings.upstreams] == [
        "/data/docker_registry",
        "/data/registry-cache/quay.io",
    ]


def test_the_proxy_of_the_container_becomes_the_stacks_without_its_login(project: Path) -> None:
    cache = with_settings(HTTPS_PROXY="http://***@203.0.113.3:3128", NO_PROXY="localhost,10.0.0.0/8")
    found = proposed(host_with(cache), WEB)
    settings = loaded(project, found)
    assert settings.proxy.https == "http://203.0.113.3:3128"
    assert settings.proxy.no_proxy == ("localhost", "10.0.0.0/8")
    assert any("with a login" in step for step in found.before)


def test_what_the_stack_says_already_stays(project: Path) -> None:
    base = {
        **BASE,
        "access": {"networks": ["198.51.100.0/24"]},
        "cache": {"limit": "70GiB"},
        "upstreams": [{"registry": "docker.io", "username": "ann", "password": {"secure": "AAAB"}}],
        "observe": "never",
    }
    sections = proposed(host_with(SIMPLE), WEB, base=base).sections
    assert sections["access"]["networks"][0] == "198.51.100.0/24"
    assert sections["cache"]["limit"] == "70GiB"
    assert sections["observe"] == "never"
    assert sections["upstreams"] == [
        {"registry": "docker.io", "username": "ann", "password": {"secure": "AAAB"}, "port": 5000}
    ]


def test_where_there_is_nothing_to_take_over_there_is_no_stack() -> None:
    assert proposal.propose([WEB], BASE) is None


def test_a_container_at_the_caches_port_that_cannot_be_replaced_keeps_its_host_out() -> None:
    swarm = changed(name="in-swarm", swarm="mirror")
    second = host_with(swarm, name="mirror-2", address="203.0.113.11")
    entry = {"name": "mirror-2", "address": "203.0.113.11", "hostKey": ED25519_KEY}
    found = proposed(host_with(SIMPLE), second, base={**BASE, "mirrors": [*BASE["mirrors"], entry]})
    assert [mirror["name"] for mirror in found.sections["mirrors"]] == ["mirror-1"]
    assert any("in-swarm goes on there" in reason for reason in found.left_out)
