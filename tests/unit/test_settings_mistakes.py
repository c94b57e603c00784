"""Every mistake in a configuration is found before anything is touched, and told with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.settings_errors import SettingsError
from tests.unit.settings_sample import ECDSA_KEY, ED25519_KEY, load

TYPE, BASE64 = ED25519_KEY.split()
HOST = "name: mirror-1, address: 203.0.113.10"
SHORT_RSA = (
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQC5ysHJxbb9OpkVDd1pXL7QnvnHHhKcGwlVBBpMkNnZQ3kGyLSc4B+bqcXbqz"
    "W1iQ5mLsB9Q9VxkUZ0r4cBq3ZV"
)


def replacing(*entries: str, cache: str = "", upstreams: str = "{registry: docker.io}") -> str:
    """A mirror that replaces containers, each entry as in the stack file."""
    mirror = f"{{{HOST}, hostKey: {ECDSA_KEY}, replaces: [{', '.join(f'{{{entry}}}' for entry in entries)}]}}"
    return f"mirrors: [{mirror}]\nupstreams: [{upstreams}]\n{cache}"


IN_DATA = "container: one, directory: /data/docker_registry"
TWO_UPSTREAMS = "{registry: docker.io}, {registry: ghcr.io, port: 5001}"

# What replaces keys of the sample; the path of the mistake; a part of what is said about it.
MISTAKES = [
    # Keys
    ("shh: {port: 22}", "shh", "did you mean ssh?"),
    ("mirror: []", "mirror", "did you mean mirrors?"),
    ("ttl: 24h", "ttl", "it belongs in cache.ttl"),
    ("cache: {keep_on_destroy: true}", "cache.keep_on_destroy", "did you mean keepOnDestroy?"),
    (f"mirrors: [{{{HOST}, hostkey: {ECDSA_KEY}}}]", "mirrors[0].hostkey", "did you mean hostKey?"),
    ("ssh: {agent: true, jumpHost: {adress: b.example}}", "ssh.jumpHost.adress", "did you mean address?"),
    ("'registry-cache:tls': {}", "registry-cache:tls", "did you mean tls?"),
    # Kinds of value
    ("mirrors: mirror-1", "mirrors", "is text, not a list"),
    ("mirrors: [203.0.113.10]", "mirrors[0]", "not a set of keys; it takes the keys name, address, hostKey"),
    ("ssh: root", "ssh", "not a set of keys"),
    ("mirrorsAreClients: perhaps", "mirrorsAreClients", "write true or false"),
    ("access: {networks: 203.0.113.0/24}", "access.networks", "write a list"),
    ("access: {networks: [null]}", "access.networks[0]", "is empty"),
    # Logins
    ("ssh: {port: 70000}", "ssh.port", "from 1 to 65535"),
    ("ssh: {port: '0022'}", "ssh.port", "is '0022'"),
    ("ssh: {port: yes}", "ssh.port", "is true or false"),
    ("ssh: {waitSeconds: 2.5}", "ssh.waitSeconds", "not a whole one"),
    ("ssh: {waitSeconds: 0}", "ssh.waitSeconds", "from 1 to 3600 (seconds)"),
    ("ssh: {user: 'root '}", "ssh.user", "is not a login name"),
    ("ssh: {agent: true, privateKeyFile: ~/.ssh/id_ed25519}", "ssh.privateKeyFile", "keep one of the two"),
    ("ssh: {privateKeyFile: ~/.ssh/id_rsa}", "ssh.privateKeyFile", ".ssh/id_rsa, which is not there"),
    (
        "ssh: {privateKeyFile: ~/.ssh/id_ed25519.pub}",
        "ssh.privateKeyFile",
        "is a public key; give the private",
    ),
    ("ssh: {privateKeyFile: ~/.ssh/notes.txt}", "ssh.privateKeyFile", "is not a private key"),
    ("ssh: {privateKeyFile: ~/.ssh/putty.ppk}", "ssh.privateKeyFile", "puttygen"),
    ("ssh: {privateKeyFile: ~/.ssh/locked}", "ssh.privateKeyFile", "passphrase"),
    ("ssh: {privateKeyFile: ~/.ssh/open}", "ssh.privateKeyFile", "chmod 600"),
    ("ssh: {knownHostsFile: nowhere}", "ssh.knownHostsFile", "which is not there"),
    ("ssh: {jumpHost: {address: 203.0.113.2}}", "ssh.jumpHost.hostKey", "is missing"),
    ("ssh: {jumpHost: {user: jump}}", "ssh.jumpHost.address", "is missing; add it, as in `address: "),
    # Hosts
    ("mirrors: []", "mirrors", "is missing or empty"),
    (
        replacing("registry: docker.io"),
        "mirrors[0].replaces[0].container",
        "is missing; add it, as in `container: ",
    ),
    (replacing("container: 'a b'"), "mirrors[0].replaces[0].container", "no container is called"),
    (
        replacing("container: one", "container: one, registry: ghcr.io", upstreams=TWO_UPSTREAMS),
        "mirrors[0].replaces[1].container",
        "as is mirrors[0].replaces[0].container",
    ),
    (
        replacing("container: one", "container: two"),
        "mirrors[0].replaces[1].registry",
        "as is mirrors[0].replaces[0].registry",
    ),
    (
        replacing("container: one, registry: ghcr.io"),
        "mirrors[0].replaces[0].registry",
        "of which there is no cache; add ghcr.io to upstreams",
    ),
    (
        replacing("container: registry-cache-docker.io"),
        "mirrors[0].replaces[0].container",
        "docker rename registry-cache-docker.io",
    ),
    (
        replacing("container: one, directory: /data"),
        "mirrors[0].replaces[0].directory",
        "which others use too",
    ),
    (
        replacing("container: one, directory: /var/lib/docker/volumes/../x/_data"),
        "mirrors[0].replaces[0].directory",
        "without ..",
    ),
    (
        replacing(IN_DATA, upstreams=TWO_UPSTREAMS),
        "mirrors[0].replaces[0].directory",
        "the cache of ghcr.io has /data/docker_registry/ghcr.io; set cache.directory to a place beside it",
    ),
    (f"clients: [{{address: 203.0.113.21, hostKey: {ECDSA_KEY}}}]", "clients[0].name", "is missing"),
    (
        f"clients: [{{name: web_1, address: 203.0.113.21, hostKey: {ECDSA_KEY}}}]",
        "clients[0].name",
        "hyphens",
    ),
    (f"clients: [{{name: no, address: 203.0.113.21, hostKey: {ECDSA_KEY}}}]", "clients[0].name", "in quotes"),
    (f"clients: [{{name: 7, address: 203.0.113.21, hostKey: {ECDSA_KEY}}}]", "clients[0].name", "in quotes"),
    (
        f"clients: [{{name: mirror-1, address: 203.0.113.21, hostKey: {ECDSA_KEY}}}]",
        "clients[0].name",
        "as is mirrors[0].name; give each host a name of its own",
    ),
    (
        f"clients: [{{name: web-1, address: 203.0.113.10, hostKey: {ECDSA_KEY}}}]",
        "clients[0].address",
        "mirrorsAreClients",
    ),
    (
        f"mirrors: [{{name: a, address: 2001:db8::1, hostKey: {ECDSA_KEY}}},"
        f" {{name: b, address: '2001:DB8:0::1', hostKey: {ECDSA_KEY}}}]",
        "mirrors[1].address",
        "as is mirrors[0].address; list it once",
    ),
    (
        f"mirrors: [{{{HOST}, hostKey: {ECDSA_KEY}, hostname: m.example}},"
        f" {{name: b, address: 203.0.113.11, hostKey: {ECDSA_KEY}, hostname: m.example}}]",
        "mirrors[1].hostname",
        "clients already reach mirror-1",
    ),
    (
        f"mirrors: [{{name: a, address: 203.0.113.300, hostKey: {ECDSA_KEY}}}]",
        "mirrors[0].address",
        "0 to 255",
    ),
    (
        f"mirrors: [{{name: a, address: 203.0.113.010, hostKey: {ECDSA_KEY}}}]",
        "mirrors[0].address",
        "0 to 255",
    ),
    (
        f"mirrors: [{{name: a, address: '203.0.113.1:22', hostKey: {ECDSA_KEY}}}]",
        "mirrors[0].address",
        "as port:",
    ),
    (f"mirrors: [{{name: a, address: root@m.example, hostKey: {ECDSA_KEY}}}]", "mirrors[0].address", "user:"),
    (
        f"mirrors: [{{name: a, address: 'https://m.example', hostKey: {ECDSA_KEY}}}]",
        "mirrors[0].address",
        "a URL",
    ),
    (
        f"mirrors: [{{name: a, address: 203.0.113.0/24, hostKey: {ECDSA_KEY}}}]",
        "mirrors[0].address",
        "without a /",
    ),
    (f"mirrors: [{{name: a, address: m_1.example, hostKey: {ECDSA_KEY}}}]", "mirrors[0].address", "DNS name"),
    (f"mirrors: [{{name: a, address: 0.0.0.0, hostKey: {ECDSA_KEY}}}]", "mirrors[0].address", "no machine's"),
    # Host keys
    (f"mirrors: [{{{HOST}}}]", "mirrors[0].hostKey", "is missing, so that another machine could pose"),
    (
        f"mirrors: [{{{HOST}, hostKey: 'SHA256:uNiVztksCsDhcc0u9e8BrvoyTt'}}]",
        "mirrors[0].hostKey",
        "fingerprint",
    ),
    (f"mirrors: [{{{HOST}, hostKey: '{'16:' * 15}27'}}]", "mirrors[0].hostKey", "is a fingerprint"),
    (f"mirrors: [{{{HOST}, hostKey: {BASE64}}}]", "mirrors[0].hostKey", "`type base64`"),
    (
        f"mirrors: [{{{HOST}, hostKey: m.example {ED25519_KEY}}}]",
        "mirrors[0].hostKey",
        "leave out the first word",
    ),
    (f"mirrors: [{{{HOST}, hostKey: {ED25519_KEY[:-6]}}}]", "mirrors[0].hostKey", "cut short"),
    (f"mirrors: [{{{HOST}, hostKey: ssh-rsa {BASE64}}}]", "mirrors[0].hostKey", "of another type"),
    (f"mirrors: [{{{HOST}, hostKey: ssh-dss {BASE64}}}]", "mirrors[0].hostKey", "type that is not supported"),
    (f"mirrors: [{{{HOST}, hostKey: {SHORT_RSA}}}]", "mirrors[0].hostKey", "only 5"),
    # Clients
    (
        f"clients: [{{name: web-1, address: w.example, hostKey: {ECDSA_KEY}, docker: instal}}]",
        "clients[0].docker",
        "is 'instal'; write keep or install",
    ),
    (
        f"clients: [{{name: web-1, address: w.example, hostKey: {ECDSA_KEY}, dockerVersion: 28.5.2}}]",
        "clients[0].dockerVersion",
        "add docker: install",
    ),
    ("docker: {version: 28.10}", "docker.version", "no closing zero"),
    ("docker: {version: latest}", "docker.version", "not a version of Docker"),
    ("docker: {packages: download.docker.com}", "docker.packages", "not a URL"),
    # Upstreams
    ("upstreams: [{registry: docker.io/library}]", "upstreams[0].registry", "with a path; write docker.io"),
    ("upstreams: [{registry: 'https://docker.io'}]", "upstreams[0].registry", "has a scheme"),
    (
        "upstreams: [{registry: 'u:pw@ghcr.io/acme'}]",
        "upstreams[0].registry",
        "has a user name in it; write the name alone",
    ),
    ("upstreams: [{registry: registry-1.docker.io}]", "upstreams[0].registry", "write docker.io"),
    ("upstreams: [{registry: ghcr.io}]", "upstreams", "has no docker.io"),
    ("upstreams: [{registry: docker.io}, {registry: ghcr.io}]", "upstreams[1].port", "add port: 5001"),
    (
        "upstreams: [{registry: docker.io}, {registry: ghcr.io, port: 443}]",
        "upstreams[1].port",
        "is 443, as is upstreams[0].port; take another, such as 5001",
    ),
    ("upstreams: [{registry: docker.io, port: 22}]", "upstreams[0].port", "SSH of mirror-1"),
    (
        "upstreams: [{registry: docker.io}, {registry: docker.io, port: 5001}]",
        "upstreams[1].registry",
        "list each registry once",
    ),
    ("upstreams: [{registry: docker.io, url: 'https://m.example/v2/'}]", "upstreams[0].url", "with a path"),
    ("upstreams: [{registry: docker.io, url: m.example}]", "upstreams[0].url", "is not a URL"),
    (
        "upstreams: [{registry: docker.io, url: 'https://u:pw@m.example'}]",  # pragma: allowlist secret
        "upstreams[0].url",
        "has credentials",
    ),
    (
        "upstreams: [{registry: docker.io, username: u}]",
        "upstreams[0].password",
        "is missing beside username",
    ),
    (
        "upstreams: [{registry: docker.io, username: u, password: ''}]",
        "upstreams[0].password",
        "is empty; give the token, or leave username out too",
    ),
    (
        'upstreams: [{registry: docker.io, username: u, password: "dckr\\n"}]',  # pragma: allowlist secret
        "upstreams[0].password",
        "has a line's end in it; give it without",
    ),
    (
        "upstreams: [{registry: docker.io, password: p}]",
        "upstreams[0].username",
        "is missing beside the password",
    ),
    (
        "{upstreams: [{registry: docker.io, username: u, password: p}], access: {networks: [0.0.0.0/0]}}",
        "upstreams[0].password",
        "limit access.networks",
    ),
    (
        "{upstreams: [{registry: docker.io, username: u, password: p}], access: {networks: ['2000::/3']}}",
        "upstreams[0].password",
        "limit access.networks",
    ),
    (
        "upstreams: [{registry: docker.io, username: u, password: p, url: 'http://m.example'}]",
        "upstreams[0].password",
        "unencrypted",
    ),
    # Access
    ("access: {}", "access.networks", "open proxy: strangers fill its disk"),
    ("access: {networks: []}", "access.networks", "open proxy"),
    ("access: {networks: [203.0.113.7/24]}", "access.networks[0]", "write 203.0.113.0/24 for the network"),
    ("access: {networks: [203.0.113.7]}", "access.networks[0]", "write 203.0.113.7/32"),
    ("access: {networks: [203.0.113.0/33]}", "access.networks[0]", "from 0 to 32"),
    ("access: {networks: ['2001:db8::/129']}", "access.networks[0]", "from 0 to 128"),
    ("access: {networks: [any]}", "access.networks[0]", "is no network"),
    ("access: {networks: [10.0.0.0/8, 10.0.0.0/8]}", "access.networks", "has 10.0.0.0/8 twice"),
    # TLS
    ("tls: {mode: self-sign}", "tls.mode", "write self-signed, own or off"),
    ("tls: {mode: on}", "tls.mode", "write self-signed, own or off"),
    ("tls: {algorithm: RSA}", "tls.algorithm", "write ECDSA-P256 or RSA-4096"),
    ("tls: {validDays: 90, renewBeforeDays: 90}", "tls.renewBeforeDays", "not less than validDays (90)"),
    ("tls: {validDays: 1y}", "tls.validDays", "from 1 to 3650 (days)"),
    ("tls: {mode: own}", "tls.certificateFile", "is missing with mode: own"),
    ("tls: {mode: own, certificateFile: c.pem}", "tls.privateKeyFile", "is missing with mode: own"),
    ("tls: {mode: own, certificateFile: c.pem, privateKeyFile: k.pem}", "tls.certificateFile", "not there"),
    ("tls: {caFile: ca.pem}", "tls.caFile", "does nothing with mode: self-signed"),
    ("tls: {mode: off, validDays: 90}", "tls.validDays", "does nothing with mode: off"),
    (
        f"{{tls: {{mode: off}}, mirrors: [{{{HOST}, hostKey: {ECDSA_KEY}, dnsNames: [m.example]}}]}}",
        "mirrors[0].dnsNames",
        "does nothing with tls.mode off",
    ),
    # Cache
    ("cache: {directory: data/registry}", "cache.directory", "a relative directory"),
    ("cache: {directory: ~/registry}", "cache.directory", "a relative directory"),
    ("cache: {directory: /var/lib}", "cache.directory", "which others use too"),
    ("cache: {directory: /var/lib/docker/cache}", "cache.directory", "which others use too"),
    ("cache: {directory: '/data/a:b'}", "cache.directory", "letters, digits"),
    ("cache: {directory: /data/../etc}", "cache.directory", "without .."),
    ("cache: {ttl: 3600}", "cache.ttl", "a time without a unit"),
    ("cache: {ttl: '3600'}", "cache.ttl", "a time without a unit"),
    ("cache: {ttl: 7d}", "cache.ttl", "write 168h"),
    ("cache: {ttl: -1h}", "cache.ttl", "write it with a unit, as in 168h"),
    ("cache: {ttl: false}", "cache.ttl", "as in 168h"),
    ("cache: {ttl: [24h]}", "cache.ttl", "as in 168h"),
    ("cache: {limit: 10}", "cache.limit", "a size without a unit; write it with one, as in 10GiB"),
    ("cache: {limit: 10G}", "cache.limit", "is '10G', not a size"),
    ("cache: {limit: 10MiB}", "cache.limit", "too small for a single large image; give it 100MiB or more"),
    ("upstreams: [{registry: docker.io, limit: 1MiB}]", "upstreams[0].limit", "give it 100MiB or more"),
    ("cache: {minFree: 100%}", "cache.minFree", "write a share from 1% to 99%, or a size such as 2GiB"),
    ("cache: {minFree: 5}", "cache.minFree", "write a share from 1% to 99%, or a size such as 2GiB"),
    ("cache: {untagged: 7d}", "cache.untagged", "the registry knows no days; write 168h"),
    ("cache: {untagged: 0}", "cache.untagged", "write a time as in 720h, or keep"),
    ("cache: {untagged: 100}", "cache.untagged", "a time without a unit; write a time as in 720h, or keep"),
    ("cache: {untagged: often}", "cache.untagged", "write a time as in 720h, or keep"),
    ("cache: {collect: daily}", "cache.collect", 'write hourly, "daily 03:00" or "weekly sun 03:00"'),
    ("cache: {collect: 'daily 24:00'}", "cache.collect", 'write hourly, "daily 03:00" or "weekly sun 03:00"'),
    (
        "{cache: {limit: 1GiB}, upstreams: [{registry: docker.io, limit: 2GiB}]}",
        "upstreams[0].limit",
        "more than cache.limit (1GiB) for all of them; take less",
    ),
    ("upstreams: [{registry: docker.io, caFile: no.pem}]", "upstreams[0].caFile", "which is not there"),
    (
        "upstreams: [{registry: docker.io, caFile: ~/.ssh/notes.txt}]",
        "upstreams[0].caFile",
        "holds no certificate; give it as PEM",
    ),
    (
        "upstreams: [{registry: docker.io, url: 'http://m.example', caFile: ~/.ssh/notes.txt}]",
        "upstreams[0].caFile",
        "does nothing with an http:// url",
    ),
    (
        "upstreams: [{registry: docker.io, passwordFile: ~/.ssh/notes.txt}]",
        "upstreams[0].username",
        "is missing beside the password; add it",
    ),
    (
        "upstreams: [{registry: docker.io, username: u, passwordFile: nowhere}]",
        "upstreams[0].passwordFile",
        "which is not there",
    ),
    (
        "upstreams: [{registry: docker.io, username: u, passwordFile: ~/.ssh/open}]",
        "upstreams[0].passwordFile",
        "which others may read; run chmod 600",
    ),
    (
        "upstreams: [{registry: docker.io, username: u, passwordFile: ~/.ssh/locked}]",
        "upstreams[0].passwordFile",
        "more than one line in it; put the password there, in one line",
    ),
    (
        "upstreams: [{registry: docker.io, username: u, password: p, passwordFile: ~/.ssh/notes.txt}]",
        "upstreams[0].passwordFile",
        "is given beside password; keep one of the two",
    ),
    ("prefetch: [ghcr.io/a/b:1]", "prefetch[0]", "is from ghcr.io, of which there is no cache; add ghcr.io"),
    ("metrics: {port: 22}", "metrics.port", "as is the SSH port of mirror-1; take another"),
    ("metrics: {port: 9470}", "metrics.port", "does nothing without metrics.networks; add the address"),
    ("metrics: {networks: [10.0.0.1]}", "metrics.networks[0]", "an address without a prefix"),
    ("observe: sometimes", "observe", "auto"),
    # Images
    ("registry: {image: 'registry:3'}", "registry.image", "docker buildx imagetools inspect registry:3"),
    (f"registry: {{image: 'registry@sha256:{'0' * 64}'}}", "registry.image", "version 2 or 3"),
    ("registry: {image: 'registry:3@sha256:123'}", "registry.image", "not the name of an image"),
    ("registry: {image: 'registry:3', archive: registry.tar}", "registry.archive", "which is not there"),
    (
        f"{{registry: {{image: 'registry:2.8.3@sha256:{'0' * 64}'}}, cache: {{ttl: 169h}}}}",
        "cache.ttl",
        "registry 2 itself lets go of everything after 168h; write 168h or less",
    ),
    ("verification: {image: ghcr.io/example/app}", "verification.image", "is from ghcr.io"),
    ("verification: {image: Hello World}", "verification.image", "is not the name of an image"),
    # Proxy
    ("proxy: {https: 'http://u:@p.example:3128'}", "proxy.https", "has credentials"),
    ("proxy: {https: p.example:3128}", "proxy.https", "not a URL"),
    ("proxy: {noProxy: [10.0.0.0/8]}", "proxy.noProxy", "does nothing without proxy.http"),
    ("proxy: {https: 'http://p.example', noProxy: ['a,b']}", "proxy.noProxy[0]", "write one name"),
    (
        "proxy: {http: 'http://p.example:3128'}",
        "proxy.http",
        "does nothing for upstreams at https://, as all here are; write it as https:",
    ),
    # Include
    ("include: 3", "include", "not the name of a file"),
    ("include: hosts.yaml", "include", "which does not exist"),
]


@pytest.mark.parametrize(("changes", "path", "phrase"), MISTAKES, ids=[f"{m[1]}: {m[2]}" for m in MISTAKES])
def test_a_mistake_is_named_by_path_and_with_its_remedy(
    changes: str, path: str, phrase: str, project: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(project, changes)
    found = [line for line in str(caught.value).splitlines() if line.startswith(f"  {path} ")]
    assert len(found) == 1, f"one line about {path} is wanted in:\n{caught.value}"
    assert phrase in found[0]
    assert ";" in found[0], "what is wrong is followed by what would be right"


@pytest.mark.parametrize(("changes", "path"), [mistake[:2] for mistake in MISTAKES])
def test_one_mistake_is_not_reported_as_several(changes: str, path: str, project: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(project, changes)
    paths = {str(problem).split(" ", 1)[0] for problem in caught.value.problems}
    same_cause = {
        "tls.certificateFile": {"tls.privateKeyFile"},
        "tls.privateKeyFile": {"tls.certificateFile"},
        "mirrors[0].hostkey": {"mirrors[0].hostKey"},
        "ssh.jumpHost.adress": {"ssh.jumpHost.address", "ssh.jumpHost.hostKey"},
        "ssh.jumpHost.address": {"ssh.jumpHost.hostKey"},
    }
    assert paths - {path} <= same_cause.get(path, set())
