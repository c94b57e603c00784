"""The job that all contestants do, written out as files for those that are not this project's program."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.lib import access_rules, docker_repo, registry_config
from components.lib.registry_config import CacheSettings

PLAYS = Path(__file__).parent / "plays"
PORT = 443
VALID = datetime.timedelta(days=365)
CONTAINER = "registry-cache-docker.io"
DATA = "/data/docker_registry/docker.io"


@dataclass(frozen=True)
class Machine:
    """A host as SSH reaches it, always as root. `host_key` is "type base64"."""

    name: str
    address: str
    host_key: str


@dataclass(frozen=True)
class Job:
    """One mirror of Docker Hub with TLS, and the clients that use it; the mirror is a client too.

    `networks` may reach the mirror. `registry` is the registry's image, `image` the one that clients pull as
    proof. `mirror_name` resolves on all hosts.
    """

    directory: Path
    private_key_file: Path
    mirror: Machine
    clients: Sequence[Machine]
    networks: Sequence[str]
    registry: str
    image: str
    mirror_name: str

    @property
    def machines(self) -> list[Machine]:
        """All hosts, the mirror first."""
        return [self.mirror, *self.clients]

    @property
    def url(self) -> str:
        """What clients use at first."""
        return f"https://{self.mirror.address}"

    @property
    def changed_url(self) -> str:
        """What clients use after the change of one line: the same mirror by its name."""
        return f"https://{self.mirror_name}"

    def write(self) -> None:
        """Writes all files into `directory`, which is made anew."""
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True, mode=0o700)
        cache = CacheSettings("docker.io", "https://registry-1.docker.io", 3, tls=True)
        configuration = registry_config.render(cache)
        authority, server = _certificates(self.mirror.address, [self.mirror_name, self.mirror.name])
        files = {
            "docker-ce.repo": docker_repo.render("https://download.docker.com").replace("@DISTRO@", "rhel"),
            "firewall.nft": access_rules.render([PORT], self.networks),
            "config.yml": configuration,
            "credentials": registry_config.credential_helper(cache) or "",
            "ca.crt": authority,
            "server.pem": server,
            "environment": "".join(f"{k}={v}\n" for k, v in registry_config.environment(cache).items()),
            "known_hosts": "".join(f"{m.address} {m.host_key}\n" for m in self.machines),
            "ssh_config": self._ssh_config(),
            "hosts": "\n".join(
                [f"{self.mirror.address} mirror", *(f"{m.address} client" for m in self.clients), ""]
            ),
            "inventory.json": json.dumps(self._inventory(), indent=1),
        }
        for name, text in files.items():
            (self.directory / name).write_text(text)
        for file in PLAYS.iterdir():
            if file.is_file():
                shutil.copy(file, self.directory / file.name)
        self.write_variables(self.url)

    def write_variables(self, url: str) -> None:
        """Writes what differs between the first state and the changed one."""
        relevant = ("config.yml", "credentials", "server.pem", "environment", "run_registry.sh")
        inputs = b"".join((self.directory / name).read_bytes() for name in relevant)
        variables = {
            "url": url,
            "authority": url.removeprefix("https://"),
            "registry": self.registry,
            "image": self.image,
            "repository": self.image.removeprefix("docker.io/").split(":")[0],
            "container": CONTAINER,
            "data": DATA,
            "digest": hashlib.sha256(inputs).hexdigest(),
            "clients": len(self.machines),
        }
        (self.directory / "variables.json").write_text(json.dumps(variables, indent=1))

    def _ssh_config(self) -> str:
        options = {
            "User": "root",
            "IdentityFile": str(self.private_key_file),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.directory / "known_hosts"),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        return "Host *\n" + "".join(f'  {key} "{value}"\n' for key, value in options.items())

    def _inventory(self) -> dict[str, object]:
        def group(machines: Sequence[Machine]) -> dict[str, object]:
            return {"hosts": {m.name: {"ansible_host": m.address, "ansible_user": "root"} for m in machines}}

        children = {"mirrors": group([self.mirror]), "clients": group(self.machines)}
        return {"all": {"children": children}}


def _certificates(address: str, names: Sequence[str]) -> tuple[str, str]:
    """A CA's certificate, and a server's certificate with its key, as PEM."""
    now = datetime.datetime.now(datetime.UTC)
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def begin(subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(authority_name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return builder.not_valid_before(now).not_valid_after(now + VALID)

    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry-cache bench CA")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    is_authority = x509.BasicConstraints(ca=True, path_length=0)
    authority = begin(authority_name, authority_key).add_extension(is_authority, critical=True)
    alternatives = [*map(x509.DNSName, names), x509.IPAddress(ipaddress.ip_address(address))]
    good_for = x509.SubjectAlternativeName(alternatives)
    server = begin(server_name, server_key).add_extension(good_for, critical=False)
    key = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signed, root = (b.sign(authority_key, hashes.SHA256()) for b in (server, authority))
    pem = serialization.Encoding.PEM
    return root.public_bytes(pem).decode(), (signed.public_bytes(pem) + key).decode()
