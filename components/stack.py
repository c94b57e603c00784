"""From settings to resources: which host is what, in the order of the graph."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components import configuration
from components.certificates import (
    CertificateAuthority,
    CertificateAuthorityArgs,
    IssuedBefore,
    IssuedCertificate,
    IssuedCertificateArgs,
    KeyAlgorithm,
    OwnCertificate,
    ServerCertificate,
)
from components.docker_engine import DockerEngine, DockerEngineArgs
from components.host import MIRROR_PACKAGES, MIRRORS, Host, HostArgs
from components.last_up import LastUp
from components.lib import access_rules
from components.lib.addresses import server_names
from components.lib.collect_settings import CollectSettings
from components.lib.registry_config import CacheSettings
from components.mirror import Mirror, MirrorArgs, PublishedCache
from components.mirror_client import MirrorClient, MirrorClientArgs
from components.observation import Look, Observation, look_at
from components.registry_cache import RegistryCache
from components.settings import Client, Settings
from components.settings import Host as HostSettings
from components.settings import Mirror as MirrorSettings
from components.stack_hosts import login_of
from components.verification import Verification, VerificationArgs

DOCKER_HUB = "docker.io"
PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class ConfiguredClient:
    """A client and the host that it is."""

    host: Host
    client: MirrorClient


def load_settings() -> Settings:
    """This stack's settings. Every mistake in them ends the program here, before any resource."""
    settings = configuration.load(PROJECT)
    for warning in settings.warnings():
        pulumi.log.warn(warning)
    return settings


def declare_hosts(settings: Settings, last_up: LastUp, look: Look = look_at) -> Mapping[str, Host]:
    """Every host of the stack by name, each with its wait step. ``look`` is how they are observed."""
    key_file = settings.ssh.private_key_file
    private_key = None if key_file is None else pulumi.Output.secret(key_file.expanduser().read_text())

    def declare(host: HostSettings, scripts: Sequence[str], packages: Sequence[str] = ()) -> Host:
        login, wait = logins[host.name], settings.ssh.wait_seconds
        return Host(host.name, HostArgs(host.name, login, observation, private_key, wait, scripts, packages))

    logins = {
        host.name: login_of(settings.ssh, host, PROJECT) for host in (*settings.mirrors, *settings.clients)
    }
    observation = Observation(settings.observe, logins, last_up, look)

    mirrors = {host.name: declare(host, MIRRORS, MIRROR_PACKAGES) for host in settings.mirrors}
    clients = {
        host.name: declare(host, ["docker_engine.sh"] if host.docker == "install" else [])
        for host in settings.clients
    }
    return mirrors | clients


def declare_mirrors(settings: Settings, hosts: Mapping[str, Host], last_up: LastUp) -> Sequence[Mirror]:
    """The mirror hosts with their caches."""
    certificates = _certificates(settings, last_up)
    return [
        Mirror(
            mirror.name,
            MirrorArgs(
                host=hosts[mirror.name],
                engine=DockerEngineArgs(
                    hosts[mirror.name],
                    settings.docker.packages,
                    settings.docker.version,
                    settings.docker.keep_on_destroy,
                    login_joins_docker_group=True,
                ),
                upstreams=[_published(settings, mirror, index) for index in range(len(settings.upstreams))],
                networks=settings.access.networks,
                metrics=access_rules.Metrics(settings.metrics.port, settings.metrics.networks)
                if settings.metrics.networks
                else None,
                certificate=certificates.get(mirror.name),
                image=settings.registry.image,
                image_archive=None if settings.registry.archive is None else str(settings.registry.archive),
                keep_data_on_destroy=settings.cache.keep_on_destroy,
                collect=_collect(settings),
                prefetch=settings.prefetch,
                proof_image=settings.verification.image,
            ),
        )
        for mirror in settings.mirrors
    ]


def declare_clients(
    settings: Settings, hosts: Mapping[str, Host], mirrors: Sequence[Mirror]
) -> Sequence[ConfiguredClient]:
    """The clients, the mirrors' own hosts among them unless told otherwise."""
    names = [mirror.name for mirror in settings.mirrors] if settings.mirrors_are_clients else []
    clients = [ConfiguredClient(hosts[name], _client(hosts[name], mirrors)) for name in names]
    for client in settings.clients:
        host = hosts[client.name]
        if client.docker == "install":
            DockerEngine(f"{client.name}-docker", _client_engine(settings, host, client))
        clients.append(ConfiguredClient(host, _client(host, mirrors)))
    return clients


def declare_verifications(
    settings: Settings, mirrors: Sequence[Mirror], clients: Sequence[ConfiguredClient]
) -> Sequence[pulumi.Output[str]]:
    """One proof for each client, at the first mirror that it tries."""
    hub = _caches(mirrors, hub=True)
    if not hub:
        return []
    first = mirrors[0]
    return [
        Verification(
            f"{client.host.name}-verification",
            VerificationArgs(
                client=client.client,
                client_host=client.host,
                mirror_host=first.host,
                cache=hub[0],
                image=settings.verification.image,
                ca=first.certificate.ca if first.certificate else None,
                networks=settings.access.networks,
            ),
        ).proof
        for client in clients
    ]


def describe_mirrors(mirrors: Sequence[Mirror]) -> Mapping[str, Mapping[str, str]]:
    """For each mirror its URLs by the registry that they serve."""
    return {mirror.name: {cache.registry: cache.url for cache in mirror.caches} for mirror in mirrors}


def describe_clients(clients: Sequence[ConfiguredClient]) -> Mapping[str, Sequence[str]]:
    """For each client the mirrors of Docker Hub that it tries, in order."""
    return {client.host.name: client.client.mirror_urls for client in clients}


def describe_generations(hosts: Mapping[str, Host]) -> Mapping[str, pulumi.Output[str]]:
    """For each host its steps, with how often each was put right: what the next ``up`` and previews go by."""
    return {name: host.applied for name, host in hosts.items()}


def describe_certificates(mirrors: Sequence[Mirror]) -> Mapping[str, Mapping[str, pulumi.Input[str]]]:
    """For each issued certificate its issue and end: what the next ``up`` decides on renewal by."""
    return {
        mirror.name: {"issue": mirror.certificate.issue, "notAfter": mirror.certificate.not_after}
        for mirror in mirrors
        if isinstance(mirror.certificate, IssuedCertificate)
    }


def _collect(settings: Settings) -> CollectSettings:
    cache = settings.cache
    return CollectSettings(
        limit=cache.limit,
        min_free=cache.min_free,
        ttl=cache.ttl,
        untagged=cache.untagged,
        collect=cache.collect,
        own_limits={one.registry: one.limit for one in settings.upstreams if one.limit is not None},
    )


def _cache(settings: Settings, index: int) -> CacheSettings:
    upstream, proxy = settings.upstreams[index], settings.proxy
    return CacheSettings(
        registry=upstream.registry,
        upstream_url=upstream.address,
        major=settings.registry.major,
        tls=settings.tls.mode != "off",
        username=upstream.username,
        password=upstream.read_password(),
        upstream_ca=None if upstream.ca_file is None else upstream.ca_file.read_text(encoding="utf-8"),
        http_proxy=proxy.http,
        https_proxy=proxy.https,
        no_proxy=proxy.no_proxy,
    )


def _published(settings: Settings, mirror: MirrorSettings, index: int) -> PublishedCache:
    upstream = settings.upstreams[index]
    replaced = settings.replaced(mirror, upstream)
    return PublishedCache(
        _cache(settings, index),
        upstream.port,
        settings.url(mirror, upstream),
        settings.data_directory(mirror, upstream),
        None if replaced is None else replaced.container,
    )


def _certificates(settings: Settings, last_up: LastUp) -> Mapping[str, ServerCertificate]:
    tls = settings.tls
    if tls.mode == "off":
        return {}
    if tls.mode == "own":
        own = OwnCertificate.from_files(tls.certificate_file, tls.private_key_file, tls.ca_file)
        return {mirror.name: own for mirror in settings.mirrors}
    key = {
        "ECDSA-P256": KeyAlgorithm("ECDSA", ecdsa_curve="P256"),
        "RSA-4096": KeyAlgorithm("RSA", rsa_bits=4096),
    }[tls.algorithm]
    authority = CertificateAuthority("ca", CertificateAuthorityArgs(key))
    issued = IssuedBefore(last_up, datetime.datetime.now(datetime.UTC))
    return {
        mirror.name: IssuedCertificate(
            mirror.name,
            IssuedCertificateArgs(
                authority=authority,
                key=key,
                names=server_names(mirror.address, mirror.hostname, mirror.dns_names, mirror.name),
                valid_days=tls.valid_days,
                renew_before_days=tls.renew_before_days,
                issue=issued.next_issue(mirror.name, tls.rotation, tls.renew_before_days),
                rotation=tls.rotation,
            ),
        )
        for mirror in settings.mirrors
    }


def _client_engine(settings: Settings, host: Host, client: Client) -> DockerEngineArgs:
    return DockerEngineArgs(
        host,
        settings.docker.packages,
        client.docker_version or settings.docker.version,
        settings.docker.keep_on_destroy,
    )


def _client(host: Host, mirrors: Sequence[Mirror]) -> MirrorClient:
    authorities = [mirror.certificate.ca for mirror in mirrors if mirror.certificate]
    return MirrorClient(
        f"{host.name}-client",
        MirrorClientArgs(
            host=host,
            hub_caches=_caches(mirrors, hub=True),
            other_caches=_caches(mirrors, hub=False),
            # One CA signs for all mirrors.
            ca=authorities[0] if authorities else None,
            after=[mirror.ready for mirror in mirrors],
        ),
    )


def _caches(mirrors: Sequence[Mirror], *, hub: bool) -> Sequence[RegistryCache]:
    return [cache for mirror in mirrors for cache in mirror.caches if (cache.registry == DOCKER_HUB) is hub]
