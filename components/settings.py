"""The stack's configuration as one frozen model: what may be set, what it means, and what it is by default.

Each class is a section of the stack file; its attributes are the keys there (`wait_seconds` is
`waitSeconds`). How a single value is checked stands in settings_types.py, what must hold between several
in settings_checks.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from components import (
    settings_checks,
    settings_completion,
    settings_errors,
    settings_reading,
    settings_warnings,
)
from components.lib import image_reference
from components.settings_errors import SettingsError
from components.settings_types import (
    Address,
    BaseUrl,
    CollectTime,
    ContainerName,
    DataDirectory,
    Example,
    Form,
    HostKey,
    Idle,
    Image,
    LocalFile,
    Name,
    Network,
    PackageVersion,
    PlacedDirectory,
    Port,
    ProxyException,
    Registry,
    RepositoryUrl,
    Share,
    Size,
    TimeToLive,
    User,
    YamlOff,
    whole_number,
)

REGISTRY_IMAGE = (
    "docker.io/library/registry:3.1.1@sha256:1be55279f18a2fe1a74edf2664cac61c1bea305b7b4642dab412e7affdcb3e33"
)
"""The multi-platform index of registry:3.1.1, as a dozen public repositories pin it independently of each
other (seen in November 2026). To look yourself: `docker buildx imagetools inspect registry:3.1.1`."""


class Section(BaseModel):
    """What all sections have in common: frozen, camelCase keys, nothing unknown let through."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class JumpHost(Section):
    """A host through which all others are reached."""

    address: Annotated[Address, Example("203.0.113.2")]
    """IP address or DNS name, for SSH from here."""
    user: User = ""
    """Login name there; that of `ssh` by default."""
    port: Annotated[Port, Example(22)] = 22
    """SSH port there."""
    host_key: HostKey = ""
    """Its SSH host key, "type base64"; may come from `ssh.knownHostsFile`."""


class Ssh(Section):
    """How the hosts are logged in to."""

    user: User = "root"
    """root, or a user with sudo without a password."""
    port: Annotated[Port, Example(2222)] = 22
    """SSH port of the hosts that say none of their own."""
    private_key_file: Annotated[LocalFile | None, Example("~/.ssh/id_ed25519")] = Field(
        default=Path("~/.ssh/id_ed25519"), validate_default=True
    )
    """The key to log in with, without a passphrase; none with `agent`."""
    agent: bool = False
    """Take the keys of the SSH agent, and no file."""
    known_hosts_file: Annotated[LocalFile | None, Example("~/.ssh/known_hosts")] = None
    """A file in the form of ~/.ssh/known_hosts, for hosts without a `hostKey` of their own."""
    jump_host: JumpHost | None = None
    """A host through which all others are reached."""
    wait_seconds: Annotated[int, whole_number(1, 3600, " (seconds)"), Form("seconds", 300)] = 120
    """How long to wait for a host to answer, in seconds."""


class Host(Section):
    """A machine that is set up over SSH. Loaded settings always have `user`, `port` and `host_key`."""

    name: Name
    """Short name, part of the names of the host's resources."""
    address: Address
    """IP address or DNS name, for SSH from here."""
    host_key: HostKey = ""
    """SSH host key, "type base64". From `ssh.knownHostsFile` by default."""
    user: User = ""
    """Login name; that of `ssh` by default."""
    port: Annotated[Port, Example(2222)] = 0
    """SSH port; that of `ssh` by default."""


class Replaced(Section):
    """A container that somebody started by hand, whose place a cache takes. `destroy` starts it again."""

    container: ContainerName
    """Its name. It is stopped once everything for the cache is ready, and kept."""
    registry: Registry = "docker.io"
    """The registry that it is a cache of."""
    directory: PlacedDirectory | None = None
    """Where its data is: the cache goes on with it, in place. Without it, the cache begins empty."""


class Mirror(Host):
    """A host that runs the caches."""

    dns_names: Annotated[tuple[Address, ...], Example(["mirror.example.org"])] = ()
    """Further names for its server certificate."""
    hostname: Annotated[Address | None, Example("mirror-1.example.org")] = None
    """The name or address under which clients reach it, where that is not `address`."""
    replaces: tuple[Replaced, ...] = ()
    """Containers started by hand that the caches take the place of (`make adopt` finds them)."""

    @property
    def reached_as(self) -> str:
        """The name or address that clients use, without brackets around IPv6."""
        return self.hostname or self.address


class Client(Host):
    """A host that pulls through the mirrors."""

    docker: Literal["keep", "install"] = "keep"
    """`keep` leaves Docker as it is there, `install` installs it where it is missing."""
    docker_version: PackageVersion | None = None
    """With `install`: the version, in place of `docker.version`."""


class Upstream(Section):
    """A registry of which each mirror runs a cache."""

    registry: Registry
    """Its name as in image names: docker.io, ghcr.io."""
    port: Annotated[Port, Example(5001)] = 0
    """Port on the mirrors. By default 443 with TLS and 5000 without for the first upstream; the others have
    none."""
    url: BaseUrl | None = None
    """Where it answers, if not at https://<registry>; may be another mirror."""
    username: Annotated[str | None, Form("text", "reader")] = None
    """The user at the registry, with `password`; refused where everyone may reach the mirrors."""
    password: Annotated[SecretStr | None, Form("text, a secret", "dckr_pat_…")] = None
    """Secret (`pulumi config set --secret --path`); a read-only access token serves best."""
    password_file: LocalFile | None = None
    """In place of `password`: a file on this machine that holds it and that only its owner may read."""
    limit: Size | None = None
    """A limit of its own, within `cache.limit`."""
    ca_file: LocalFile | None = None
    """The CA that signed its certificate (PEM), where that is no public one: another mirror's, say."""

    @property
    def address(self) -> str:
        """The URL that the cache fetches from, without a slash at the end."""
        hub = "https://registry-1.docker.io" if self.registry == "docker.io" else f"https://{self.registry}"
        return self.url or hub

    @property
    def has_login(self) -> bool:
        """Whether the cache shows credentials to it."""
        return self.password is not None or self.password_file is not None

    def read_password(self) -> str | None:
        """Return the password, out of its file where it is in one."""
        if self.password_file is not None:
            return self.password_file.read_text(encoding="utf-8").removesuffix("\n")
        return None if self.password is None else self.password.get_secret_value()


class Access(Section):
    """Who may reach the caches."""

    networks: tuple[Network, ...] = ()
    """IPv4 and IPv6 networks of the clients; at least one. More of the public internet in one piece than a /8
    (IPv6: a /16) counts as everyone: a warning, and refused beside credentials or in a stack called prod."""


class Tls(Section):
    """How the way between clients and mirrors is secured."""

    mode: Annotated[Literal["self-signed", "own", "off"], YamlOff] = "self-signed"
    """`self-signed`: by a CA of this stack; `own`: a certificate of yours, from files; `off`: plain http."""
    algorithm: Literal["ECDSA-P256", "RSA-4096"] = "ECDSA-P256"
    """What keys are made of; RSA for clients that know nothing newer."""
    valid_days: Annotated[int, whole_number(1, 3650, " (days)"), Form("days", 90)] = 365
    """How long a certificate of a mirror is valid. The CA is for ten years."""
    renew_before_days: Annotated[int, whole_number(1, 3649, " (days)"), Form("days", 20)] = 30
    """An `up` that runs this many days before the end renews the certificate."""
    rotation: Annotated[int, whole_number(0, 1_000_000), Form("number", 1)] = 0
    """Any other number than the one before renews the certificate at once."""
    certificate_file: Annotated[LocalFile | None, Example("certificates/mirror.pem")] = None
    """With `own`: the certificate of all mirrors and its chain (PEM)."""
    private_key_file: Annotated[LocalFile | None, Example("certificates/mirror.key")] = None
    """With `own`: its key (PEM), without a passphrase."""
    ca_file: LocalFile | None = None
    """With `own`: the CA that clients are to trust, if they do not already."""


class Cache(Section):
    """What the caches keep."""

    directory: DataDirectory = "/data/docker_registry"
    """Where each cache has a folder of its registry's name."""
    ttl: TimeToLive = "168h"
    """How long content stays from its first fetch on; "0s" for ever. At most 168h with registry 2."""
    keep_on_destroy: bool = True
    """Whether a `destroy` leaves what is cached."""
    limit: Size | None = None
    """What a mirror's caches may hold together, as in 10GiB. Nearing it, what was used longest ago goes.
    Without it, only `minFree` limits them."""
    min_free: Share = "5%"
    """How much of the file system stays free, whoever fills it: a share of it (5%) or a size (2GiB)."""
    untagged: Idle = "keep"
    """How long content that no tag names stays after its last use, as in 720h; `keep`: as any other."""
    collect: CollectTime = "hourly"
    """When content over its `ttl` or `untagged` goes: hourly, "daily 03:00" or "weekly sun 03:00", by the
    mirror's clock."""


class RegistrySoftware(Section):
    """The registry that serves as cache (github.com/distribution/distribution), version 2 or 3."""

    image: Annotated[Image, Example(REGISTRY_IMAGE)] = REGISTRY_IMAGE
    """By digest; its tag says the version."""
    archive: Annotated[LocalFile | None, Example("images/registry.tar")] = None
    """A file made by `docker save` with `image` in it, for hosts that cannot pull it; needs no digest."""

    @property
    def major(self) -> Literal[2, 3]:
        """The registry's major version, on which the form of its configuration depends."""
        tag = image_reference.parse(self.image).tag or ""
        return 2 if tag.startswith("2") else 3


class Docker(Section):
    """The Docker engine that is installed on mirrors, and on clients that ask for it."""

    version: PackageVersion | None = None
    """The newest by default. Leaves a Docker that is already there as it is."""
    packages: RepositoryUrl = "https://download.docker.com"
    """Where the yum repository is, or a copy of it: https://mirrors.aliyun.com/docker-ce."""
    keep_on_destroy: bool = True
    """Whether a `destroy` leaves a Docker that was installed by us."""


class Proxy(Section):
    """The proxy through which the caches reach their upstreams."""

    http: Annotated[BaseUrl | None, Example("http://203.0.113.3:3128")] = None
    """For upstreams at http:// addresses."""
    https: Annotated[BaseUrl | None, Example("http://203.0.113.3:3128")] = None
    """For upstreams at https:// addresses, so for nearly all."""
    no_proxy: tuple[ProxyException, ...] = ()
    """Names, domains and networks that are reached without it."""


class Verification(Section):
    """The pull that proves each client's way through its mirror."""

    image: Image = "docker.io/library/hello-world:latest"
    """A small one of docker.io, pulled anew at each proof."""


class Metrics(Section):
    """Metrics of the mirrors for Prometheus, over plain http; served only where networks are named."""

    port: Annotated[Port, Example(9469)] = 9469
    """Port on the mirrors."""
    networks: Annotated[tuple[Network, ...], Example(["203.0.113.9/32"])] = ()
    """IPv4 and IPv6 networks that may read them."""


class Settings(Section):
    """The whole configuration, checked and complete."""

    ssh: Ssh = Field(default_factory=Ssh)
    """How the hosts are logged in to."""
    mirrors: tuple[Mirror, ...] = ()
    """The hosts that run the caches, in the order in which clients try them; at least one."""
    clients: tuple[Client, ...] = ()
    """The hosts that pull through the mirrors, besides the mirrors themselves."""
    mirrors_are_clients: bool = True
    """Whether the mirrors' own Docker pulls through the mirrors too."""
    upstreams: tuple[Upstream, ...] = (Upstream(registry="docker.io"),)
    """The registries that are cached; docker.io is one of them."""
    access: Access = Field(default_factory=Access)
    """Who may reach the caches."""
    tls: Tls = Field(default_factory=Tls)
    """How the way between clients and mirrors is secured."""
    cache: Cache = Field(default_factory=Cache)
    """What the caches keep."""
    registry: RegistrySoftware = Field(default_factory=RegistrySoftware)
    """The registry that serves as cache."""
    docker: Docker = Field(default_factory=Docker)
    """The Docker engine that is installed."""
    proxy: Proxy = Field(default_factory=Proxy)
    """The proxy through which the caches reach their upstreams."""
    verification: Verification = Field(default_factory=Verification)
    """The pull that proves each client's way."""
    prefetch: tuple[Image, ...] = ()
    """Images that `up` pulls into the caches, in this order, before any client is pointed at them."""
    metrics: Metrics = Field(default_factory=Metrics)
    """Metrics of the mirrors for Prometheus."""
    observe: Literal["auto", "always", "never"] = "auto"
    """Whether a preview looks at the hosts for what was changed there: `auto` warns of a host that does not
    answer, `always` fails, `never` looks at none."""

    @classmethod
    def load(cls, raw: Mapping[str, object], directory: Path) -> Settings:
        """Build the settings from the stack's keys without their prefix.

        `directory` is the project's; relative file names begin there, and its Pulumi.yaml has what all stacks
        share. Raises SettingsError with every mistake.
        """
        shared = settings_reading.shared_by_all(directory)
        # Pulumi hands over a key that only Pulumi.yaml has as if the stack had written it.
        own = {key: value for key, value in raw.items() if key == "include" or value != shared.get(key)}
        data, origins = settings_reading.with_include(own, directory)
        data, origins = settings_reading.with_shared(data, origins, shared)
        settings, problems = settings_reading.validate_all(cls, data, directory)
        settings = settings_completion.completed(settings)
        problems += [found for found in settings_checks.find_problems(settings) if not found.echoes(problems)]
        if problems:
            sections = [field.alias for field in cls.model_fields.values()]
            raise SettingsError(settings_errors.in_order(problems, sections), origins)
        return settings

    def warnings(self) -> tuple[str, ...]:
        """What is allowed and carried out, but worth a second look."""
        return tuple(settings_warnings.find_warnings(self))

    def replaced(self, mirror: Mirror, upstream: Upstream) -> Replaced | None:
        """The container whose place a cache takes, if any."""
        return next((entry for entry in mirror.replaces if entry.registry == upstream.registry), None)

    def data_directory(self, mirror: Mirror, upstream: Upstream) -> str:
        """Where a cache keeps its data on the mirror."""
        replaced = self.replaced(mirror, upstream)
        if replaced is not None and replaced.directory is not None:
            return replaced.directory
        return f"{self.cache.directory}/{upstream.registry}"

    def url(self, mirror: Mirror, upstream: Upstream) -> str:
        """The address of a cache as clients write it, without the port where it is the scheme's own."""
        host = f"[{mirror.reached_as}]" if ":" in mirror.reached_as else mirror.reached_as
        scheme, own = ("http", 80) if self.tls.mode == "off" else ("https", 443)
        return f"{scheme}://{host}" if upstream.port == own else f"{scheme}://{host}:{upstream.port}"
