"""The rules of the policy pack, as functions: the program passes all, each violation is told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.lib import access_rules, registry_config, ssh_options
from components.lib.registry_config import CacheSettings
from components.lib.ssh_options import Endpoint, Login
from policy import reach
from policy.circumstances import passwords_of
from policy.resource import SECRET, SIGNATURE, Case, Circumstances, Resource
from policy.rules import CONTAINER, DOCKER_PROVIDER, REMOTE_IMAGE, RULES
from tests.unit.recording_engine import RecordingEngine, run_program
from tests.unit.settings_sample import ECDSA_KEY, ED25519_KEY, load, make_home

REMOTE, LOCAL = "command:remote:Command", "command:local:Command"
REQUEST, SIGNED = "tls:index/certRequest:CertRequest", "tls:index/locallySignedCert:LocallySignedCert"
SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
PASSWORD, WORD = "open-sesame", "hidden-word"
BASE64 = "AAAA"
DIGEST = "sha256:" + "1" * 64
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"  # pragma: allowlist secret
HOP = Endpoint("203.0.113.2", 22, "jump", ECDSA_KEY)
LOGIN = Login("203.0.113.10", 22, "root", ED25519_KEY, "~/.ssh/id_ed25519", HOP)
VERIFIED = ssh_options.arguments(LOGIN)


def secret(value: object) -> dict[str, object]:
    return {SIGNATURE: SECRET, "value": value}


def problems(
    name: str,
    resource: Resource,
    before: Sequence[Resource] = (),
    circumstances: Circumstances = Circumstances("test"),  # noqa: B008  # frozen
) -> list[str]:
    """What the rule of this name says."""
    (rule,) = [rule for rule in RULES if rule.name == name]
    return list(rule.find(Case(resource, before, circumstances)))


def resources(engine: RecordingEngine) -> Iterator[Resource]:
    """What the program declared, as a pack gets it."""
    for one in engine.registered.values():
        provider = engine.registered.get(one.options.provider.rpartition("::")[0].rpartition("::")[2])
        yield Resource(one.type, one.name, one.inputs, provider.inputs if provider else {})


PROGRAMS: dict[str, dict[str, Any]] = {
    "the smallest stack": {},
    "a jump host": {"ssh": {"jumpHost": {"address": "203.0.113.2", "hostKey": ECDSA_KEY}}},
    "the agent and no key file": {"ssh": {"agent": True}},
    "no TLS": {"tls": {"mode": "off"}},
    "credentials, two upstreams and IPv6": {
        "upstreams": [
            {"registry": "docker.io", "username": "reader", "password": PASSWORD},
            {"registry": "ghcr.io", "port": 5001},
        ],
        "access": {"networks": ["203.0.113.0/24", "2001:db8::/64"]},
    },
    "an address of IPv6": {
        "mirrors": [{"name": "mirror-1", "address": "2001:db8::10", "hostKey": ECDSA_KEY}],
        "access": {"networks": ["2001:db8::/64"]},
        "upstreams": [{"registry": "docker.io", "username": "reader", "password": PASSWORD}],
    },
    "another time": {"tls": {"validDays": 90}},
    "metrics": {"metrics": {"networks": ["203.0.113.9/32"]}},
}


@pytest.mark.parametrize("changes", PROGRAMS.values(), ids=PROGRAMS)
def test_the_program_passes_every_rule(changes: Mapping[str, Any], tmp_path: Path) -> None:
    make_home(tmp_path)
    key = {} if changes.get("ssh", {}).get("agent") else {"privateKeyFile": str(tmp_path / ".ssh/id_ed25519")}
    configuration = {
        "mirrors": [{"name": "mirror-1", "address": "203.0.113.10", "hostKey": ECDSA_KEY}],
        "clients": [{"name": "web-1", "address": "203.0.113.21", "hostKey": ED25519_KEY}],
        "access": {"networks": ["203.0.113.0/24"]},
        **changes,
        "ssh": {**changes.get("ssh", {}), **key},
    }
    declared = list(resources(run_program(configuration)))
    circumstances = Circumstances("prod", configuration.get("tls", {}).get("validDays", 365), (PASSWORD,))

    assert len(declared) > 10
    found = {
        rule.name: [
            problem
            for place, resource in enumerate(declared)
            for problem in rule.find(Case(resource, declared[:place], circumstances))
        ]
        for rule in RULES
    }
    assert found == {rule.name: [] for rule in RULES}
    judged = [resource.host for resource in declared if resource.type in (REMOTE, CONTAINER)]
    assert judged
    assert all(judged), "each is known to be on some host, or the rules on access would have nothing to judge"


def remote(stdin: object = "", host: str = "203.0.113.10", **inputs: object) -> Resource:
    connection = {"host": host, "hostKey": ED25519_KEY}
    return Resource(REMOTE, "step", {"connection": secret(connection), "stdin": stdin, **inputs})


def connected(**connection: object) -> Resource:
    return Resource(REMOTE, "step", {"connection": {"host": "203.0.113.10", **connection}})


def local(create: str, stdin: str = "", **inputs: object) -> Resource:
    return Resource(LOCAL, "step", {"create": create, "stdin": stdin, **inputs})


def without(option: str) -> list[str]:
    """The verified arguments without an option, at the host and at the jump host before it."""
    login = Login(LOGIN.address, 22, "root", ED25519_KEY)
    arguments = ssh_options.arguments(login)
    (place,) = [index for index, argument in enumerate(arguments) if argument.startswith(f"{option}=")]
    return arguments[: place - 1] + arguments[place + 1 :]


WAIT = "bash components/scripts/wait.sh web-1 120 no"
HOST_KEYS: dict[str, tuple[Resource, str]] = {
    "none": (connected(), "no host key is set in connection.hostKey"),
    "an empty one": (connected(hostKey=""), "no host key is set in connection.hostKey"),
    "one cut short": (connected(hostKey=ED25519_KEY[:-5]), "the host key is cut short or damaged"),
    "none at the jump host": (
        connected(hostKey=ED25519_KEY, proxy={"host": "203.0.113.2"}),
        "no host key is set in connection.proxy.hostKey, so another machine could pose as 203.0.113.2",
    ),
    "a copied file": (
        Resource("command:remote:CopyToRemote", "archive", {"connection": secret({"host": "203.0.113.10"})}),
        "archive: no host key is set",
    ),
    "docker without options": (
        Resource(DOCKER_PROVIDER, "api", {"host": "ssh://root@203.0.113.10:22"}),
        "api: StrictHostKeyChecking is not yes (sshOpts)",
    ),
    "docker that asks nobody": (
        Resource(
            DOCKER_PROVIDER,
            "api",
            {"host": "ssh://root@203.0.113.10:22", "sshOpts": json.dumps(["-o", "StrictHostKeyChecking=no"])},
        ),
        "api: StrictHostKeyChecking is not yes",
    ),
    "a wait without it": (
        local(
            WAIT, "\n".join(["203.0.113.21", "22", "root@203.0.113.21", *without("StrictHostKeyChecking")])
        ),
        "StrictHostKeyChecking is not yes (create)",
    ),
    "a wait that knows no key": (
        local(WAIT, "\n".join(["203.0.113.21", "22", "root@203.0.113.21", *without("KnownHostsCommand")])),
        "neither KnownHostsCommand nor UserKnownHostsFile says which host key is right",
    ),
    "a proof's second host": (
        local(
            "python -m components.lib.proof",
            json.dumps(
                {
                    "client": {"destination": "root@203.0.113.21", "options": VERIFIED},
                    "mirror": {"destination": "root@203.0.113.10", "options": VERIFIED[2:4]},
                }
            ),
        ),
        "StrictHostKeyChecking is not yes",
    ),
    "an ssh of one's own": (local("ssh root@203.0.113.21 uptime"), "StrictHostKeyChecking is not yes"),
    "one on the way out": (local("true", delete="scp x root@203.0.113.21:"), "not yes (delete)"),
    "the first of two options": (
        local("ssh -oStrictHostKeyChecking=accept-new -o StrictHostKeyChecking=yes root@203.0.113.21 uptime"),
        "StrictHostKeyChecking is not yes",
    ),
    "a jump by -J": (
        local(
            f"ssh -J jump@203.0.113.2 {' '.join(f'{o!r}' for o in VERIFIED[:-4])} root@203.0.113.21 uptime"
        ),
        "a jump host by ProxyJump",
    ),
    "a key on the way": (
        local(
            WAIT,
            "\n".join(
                ["a", "22", "root@a", *without("BatchMode"), "-o", "ProxyCommand=ssh -W [%h]:%p jump@b"]
            ),
        ),
        "on the way, StrictHostKeyChecking is not yes",
    ),
}


@pytest.mark.parametrize(("resource", "said"), HOST_KEYS.values(), ids=HOST_KEYS)
def test_an_ssh_without_a_known_host_key_is_told(resource: Resource, said: str) -> None:
    assert said in "\n".join(problems("ssh-host-keys", resource))


RIGHT_WAYS = {
    "a remote step": connected(hostKey=ED25519_KEY, proxy={"host": "203.0.113.2", "hostKey": ECDSA_KEY}),
    "a key that is not known yet": connected(hostKey=UNKNOWN),
    "docker over ssh": Resource(
        DOCKER_PROVIDER, "api", {"host": "ssh://root@203.0.113.10:22", "sshOpts": json.dumps(VERIFIED)}
    ),
    "docker on this machine": Resource(DOCKER_PROVIDER, "api", {"host": "unix:///var/run/docker.sock"}),
    "a wait": local(WAIT, "\n".join(["203.0.113.10", "22", "root@203.0.113.10", *VERIFIED])),
    "a file of known hosts": local("ssh -o StrictHostKeyChecking=yes -o UserKnownHostsFile=known a uptime"),
    "no ssh at all": local("echo ssh-host-keys >note"),
}


@pytest.mark.parametrize("resource", RIGHT_WAYS.values(), ids=RIGHT_WAYS)
def test_an_ssh_with_its_host_key_passes(resource: Resource) -> None:
    assert problems("ssh-host-keys", resource) == []


def cache(major: Any, password: str | None = None) -> CacheSettings:
    user = "reader" if password else None
    return CacheSettings("docker.io", "https://registry-1.docker.io", major, True, user, password)


LOGINS = {
    "registry 2": registry_config.render(cache(2, "hidden-word")),
    "registry 3": str(registry_config.credential_helper(cache(3, "hidden-word"))),
}
PLAIN: dict[str, tuple[Resource, str]] = {
    "a key in stdin": (remote(f"{KEY}\nAAAA"), "step: stdin holds a private key that is not a secret"),
    "a key in a command": (remote(create=f"echo '{KEY}'"), "create holds a private key"),
    "a key of tls": (Resource(REQUEST, "r", {"privateKeyPem": BASE64}), "privateKeyPem holds a password or"),
    "a connection": (connected(password=WORD), "connection.password holds a password or key"),
    "in JSON": (
        Resource(DOCKER_PROVIDER, "api", {"registryAuth": json.dumps([{"password": "hidden-word"}])}),
        "registryAuth.0.password holds a password or key",
    ),
    "a login of registry 2": (remote(LOGINS["registry 2"]), "stdin holds a login at an upstream"),
    "a login of registry 3": (remote(LOGINS["registry 3"]), "stdin holds a login at an upstream"),
    **{
        f"the URL {url}": (remote(f"curl {url}"), "stdin holds a URL with a password")
        for url in (
            f"https://me:{WORD}@example.org/",
            f"HTTPS://me:{WORD}@example.org/",
            f"https://:{WORD}@example.org/",
            f"https://{WORD}@example.org/",
            f"https://me:a/{WORD}@example.org/",
        )
    },
    "a Command's environment": (
        local("deploy", environment={"DB_PASSWORD": WORD}),
        "environment.DB_PASSWORD holds a password or key",
    ),
    "a token in a Command's environment": (
        remote(create="deploy", environment={"PATH": "/bin", "ghcr_token": WORD}),
        "environment.ghcr_token holds a password or key",
    ),
    "the configuration's": (
        remote(create="echo hidden-word"),
        "create holds a password of the configuration",
    ),
    "an environment": (
        Resource(CONTAINER, "c", {"envs": secret(["REGISTRY_PROXY_PASSWORD=hidden-word"])}),
        "c: the environment variable REGISTRY_PROXY_PASSWORD holds a secret, which `docker inspect` shows",
    ),
}


@pytest.mark.parametrize(("resource", "said"), PLAIN.values(), ids=PLAIN)
def test_a_plain_secret_is_told_and_not_shown(resource: Resource, said: str) -> None:
    found = "\n".join(problems("secrets", resource, (), Circumstances("test", 365, ("hidden-word",))))
    assert said in found
    assert "hidden-word" not in found
    assert "AAAA" not in found


def test_the_configurations_passwords_are_known_wherever_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_home(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    kept, short = tmp_path / "kept", "short"
    kept.write_text("kept-in-a-file\n")
    kept.chmod(0o600)
    upstreams = [
        {"registry": "docker.io", "username": "reader", "password": PASSWORD},
        {"registry": "ghcr.io", "port": 5001, "username": "reader", "passwordFile": str(kept)},
        {"registry": "quay.io", "port": 5002, "username": "reader", "password": short},
        {"registry": "registry.k8s.io", "port": 5003},
    ]
    assert passwords_of(load(tmp_path, {"upstreams": upstreams})) == (PASSWORD, "kept-in-a-file")


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
def test_a_secret_in_its_envelope_passes(login: str) -> None:
    for value in (f"{KEY}\nAAAA", login, f"https://me:{WORD}@example.org/"):
        assert (
            problems("secrets", remote(secret(value)), (), Circumstances("test", 365, ("hidden-word",))) == []
        )
    assert problems("secrets", Resource(REQUEST, "r", {"privateKeyPem": UNKNOWN})) == []


@pytest.mark.parametrize(
    "text",
    [
        "ssh://root@203.0.113.10:22",
        f"https://203.0.113.10:5001/library/nginx@{DIGEST}",
        f"https://[2001:db8::10]:5001/library/nginx@{DIGEST}",
        'curl "https://$host:$port/v2/$name@$digest"',
        '{"url": "https://example.org", "mail": "me@example.org"}',
    ],
)
def test_an_at_sign_is_no_password_yet(text: str) -> None:
    assert problems("secrets", remote(f"run {text}")) == []


def test_an_environment_with_secrets_in_their_envelopes_passes() -> None:
    for value in (secret(WORD), UNKNOWN, ""):
        assert problems("secrets", local("deploy", environment={"DB_PASSWORD": value})) == []


def test_a_cache_without_a_login_has_nothing_secret() -> None:
    for text in (registry_config.render(cache(2)), str(registry_config.credential_helper(cache(3)))):
        assert problems("secrets", remote(text)) == []
        assert problems("credentials-limited", remote(text)) == []


@pytest.mark.parametrize(
    ("resource", "passes"),
    [
        (Resource(CONTAINER, "c", {"image": DIGEST}), True),
        (Resource(CONTAINER, "c", {"image": f"registry:3.1.1@{DIGEST}"}), True),
        (Resource(CONTAINER, "c", {"image": UNKNOWN}), True),
        (Resource(REMOTE_IMAGE, "i", {"name": f"docker.io/library/registry@{DIGEST}"}), True),
        (Resource(CONTAINER, "c", {"image": "registry:3.1.1"}), False),
        (Resource(CONTAINER, "c", {"image": DIGEST[:-1]}), False),
        (Resource(CONTAINER, "c", {}), False),
        (Resource(REMOTE_IMAGE, "i", {"name": "docker.io/library/registry:3"}), False),
    ],
)
def test_images_are_named_by_digest(resource: Resource, passes: bool) -> None:
    found = problems("images-by-digest", resource)
    assert (found == []) is passes
    assert passes or "@sha256:…" in found[0]


@pytest.mark.parametrize("value", [["x"], secret(["x"]), UNKNOWN])
@pytest.mark.parametrize("kind", [REMOTE, LOCAL, "command:remote:CopyToRemote"])
def test_triggers_are_told(kind: str, value: object) -> None:
    (said,) = problems("no-triggers", Resource(kind, "step", {"triggers": value}))
    assert said.startswith("step: triggers are set")
    assert problems("no-triggers", Resource(kind, "step", {"triggers": []})) == []
    assert problems("no-triggers", Resource("time:Static", "clock", {"triggers": value})) == []


def firewall(*networks: str, ports: Sequence[int] = (443,), host: str = "203.0.113.10") -> Resource:
    return remote(access_rules.render(ports, networks), host)


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
@pytest.mark.parametrize(
    ("before", "said"),
    [
        ([], "no firewall step before it limits that host"),
        ([firewall("203.0.113.0/24", host="203.0.113.11")], "no firewall step before it limits that host"),
        ([firewall("0.0.0.0/0")], "everyone may reach it"),
        ([firewall("203.0.113.0/24", "::/0")], "everyone may reach it"),
        ([firewall("0.0.0.0/1", "128.0.0.0/1")], "everyone may reach it"),
        ([firewall("0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3")], "everyone may reach it"),
        ([firewall("203.0.113.0/24", "2000::/3")], "everyone may reach it"),
        ([firewall("203.0.113.0/24"), firewall("0.0.0.0/0")], "everyone may reach it"),
    ],
)
def test_credentials_without_a_limit_are_told(login: str, before: list[Resource], said: str) -> None:
    (found,) = problems("credentials-limited", remote(secret(login)), before)
    assert f"a cache on 203.0.113.10 gets a login, and {said}" in found


@pytest.mark.parametrize("login", LOGINS.values(), ids=LOGINS)
def test_credentials_behind_a_limit_pass(login: str) -> None:
    before = [firewall("0.0.0.0/0", host="203.0.113.11"), firewall("203.0.113.0/24", "2001:db8::/64")]
    assert problems("credentials-limited", remote(secret(login)), before) == []


PROVIDER = {"host": "ssh://root@203.0.113.10:22"}


def published(*ports: int) -> Resource:
    listed = [{"internal": 5000, "external": port, "ip": "0.0.0.0"} for port in ports]
    return Resource(CONTAINER, "c", {"ports": [*listed, {"external": 9, "ip": "127.0.0.1"}]}, PROVIDER)


@pytest.mark.parametrize("stack", ["prod", "eu-prod", "production", "Prod.2"])
def test_a_mirror_open_to_the_world_is_told_in_production(stack: str) -> None:
    circumstances = Circumstances(stack)
    (said,) = problems("production-not-open", firewall("0.0.0.0/0"), (), circumstances)
    assert f"port 443 of 203.0.113.10 is open to 0.0.0.0/0, in the stack {stack}" in said
    (said,) = problems("production-not-open", firewall("fd00::/8", "2000::/3"), (), circumstances)
    assert "is open to 2000::/3, in" in said
    for before in ([], [firewall("203.0.113.0/24", ports=[444])]):
        (said,) = problems("production-not-open", published(443), before, circumstances)
        assert "publishes port 443 on 203.0.113.10, and no firewall step before it limits that port" in said
    assert problems("production-not-open", published(443), [firewall("10.0.0.0/8")], circumstances) == []


def test_metrics_open_to_the_world_are_told_in_production_and_are_no_matter_of_credentials() -> None:
    ruleset = access_rules.render([443], ["203.0.113.0/24"], access_rules.Metrics(9469, ["0.0.0.0/0"]))
    (said,) = problems("production-not-open", remote(ruleset), (), Circumstances("prod"))
    assert "port 9469 of 203.0.113.10 is open to 0.0.0.0/0" in said
    assert problems("credentials-limited", remote(secret(LOGINS["registry 3"])), [remote(ruleset)]) == []


@pytest.mark.parametrize("stack", ["dev", "staging", "product", "reproduce"])
def test_elsewhere_it_is_the_settings_warning_that_tells(stack: str) -> None:
    assert problems("production-not-open", firewall("0.0.0.0/0"), (), Circumstances(stack)) == []


@pytest.mark.parametrize(
    ("change", "networks"),
    [
        (("", ""), ["203.0.113.0/24"]),
        (("counter drop", "counter accept"), ["0.0.0.0/0", "::/0"]),
        (('iifname "lo" accept', 'iifname "eth0" accept'), ["0.0.0.0/0", "::/0"]),
        (("  chain caches {", "  chain others {"), ["0.0.0.0/0", "::/0"]),
    ],
)
def test_a_ruleset_is_read_as_nft_would_act_on_it(change: tuple[str, str], networks: list[str]) -> None:
    text = access_rules.render([443, 5001], ["203.0.113.0/24"])
    read = reach.read(text.replace(*change, 1) if change[0] else text)
    assert read is not None
    assert read.ports == {443: networks, 5001: networks}
    assert not read.is_limited(444), "a port that the ruleset does not name is limited by nobody"
    assert reach.read("table inet filter {}") is None


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (
            Resource(SIGNED, "c", {"validityPeriodHours": 366 * 24}),
            "valid for 366 days, more than tls.validDays",
        ),
        (Resource(SIGNED, "c", {"validityPeriodHours": 365 * 24}), ""),
        (Resource(SIGNED, "c", {"validityPeriodHours": UNKNOWN}), ""),
        (Resource(SELF_SIGNED, "ca", {"validityPeriodHours": 3650 * 24, "isCaCertificate": True}), ""),
        (
            Resource(SELF_SIGNED, "ca", {"validityPeriodHours": 3651 * 24, "isCaCertificate": True}),
            "more than a CA's 10 years",
        ),
        (Resource(SELF_SIGNED, "c", {"validityPeriodHours": 24}), "has no subject alternative name"),
        (Resource(SELF_SIGNED, "c", {"validityPeriodHours": 24, "dnsNames": ["a.example"]}), ""),
        (Resource(REQUEST, "r", {"dnsNames": [], "ipAddresses": []}), "has no subject alternative name"),
        (Resource(REQUEST, "r", {"ipAddresses": ["203.0.113.10"]}), ""),
    ],
)
def test_certificates_end_in_time_and_have_names(resource: Resource, said: str) -> None:
    found = problems("certificates", resource)
    assert bool(found) is bool(said)
    assert said in "".join(found)


HARDENED: dict[str, Any] = {
    "user": "1000:1000",
    "readOnly": True,
    "capabilities": {"drops": ["ALL"]},
    "securityOpts": ["no-new-privileges:true"],
    "restart": "always",
    "networkMode": "bridge",
    "logOpts": {"max-size": "10m"},
    "volumes": [
        {"hostPath": "/data/docker_registry/docker.io", "containerPath": "/var/lib/registry"},
        {"hostPath": "/etc/registry-cache/docker.io.yml", "containerPath": "/etc/registry.yml"},
        {"volumeName": "named", "containerPath": "/var/named"},
    ],
    "mounts": [{"type": "tmpfs", "target": "/tmp"}],
    "ports": [{"internal": 5000, "external": 443, "ip": "0.0.0.0"}],
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"user": ""}, "runs as root"),
        ({"user": "0:1000"}, "runs as root"),
        ({"user": "root"}, "runs as root"),
        ({"readOnly": False}, "may write to its own files"),
        ({"capabilities": {"drops": ["NET_RAW"]}}, "keeps capabilities"),
        ({"capabilities": {"drops": ["ALL"], "adds": ["SYS_ADMIN"]}}, "keeps capabilities"),
        ({"capabilities": None}, "keeps capabilities"),
        ({"securityOpts": []}, "may gain rights"),
        ({"securityOpts": ["no-new-privileges:false"]}, "may gain rights"),
        ({"securityOpts": ["no-new-privileges", "seccomp=unconfined"]}, "runs without confinement"),
        ({"privileged": True}, "is privileged"),
        ({"networkMode": "host"}, "shares the host's namespaces: take out networkMode"),
        ({"networkMode": None}, "says no network"),
        ({"securityOpts": ["no-new-privileges", "label=disable"]}, "runs without confinement"),
        ({"cgroupnsMode": "host"}, "shares the host's namespaces: take out cgroupnsMode"),
        ({"devices": [{"hostPath": "/dev/sda"}]}, "has devices of the host"),
        *(
            ({"volumes": [{"hostPath": path}]}, f"mounts {path} of the host")
            for path in (
                "/var/run/docker.sock",
                "/srv/docker.sock",
                "/",
                "//",
                "/etc/",
                "/var/./run",
                "/proc/1",
            )
        ),
        *(
            ({"mounts": [{"type": "bind", "source": path, "target": "/t"}]}, f"mounts {path} of the host")
            for path in ("/var/run/docker.sock", "/")
        ),
        ({"restart": "no"}, "does not start again by itself"),
        ({"logOpts": None}, "has a log without an end"),
        ({"ports": [{"internal": 5001, "external": 5001}]}, "publishes the registry's debug port"),
    ],
)
def test_each_missing_piece_of_hardening_is_told(change: dict[str, object], said: str) -> None:
    (found,) = problems("hardened-containers", Resource(CONTAINER, "c", {**HARDENED, **change}))
    assert found.startswith(f"c: {said}")


def test_a_hardened_container_passes() -> None:
    assert problems("hardened-containers", Resource(CONTAINER, "c", HARDENED)) == []
