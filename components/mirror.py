"""A mirror host: Docker, firewall, certificate, and one cache for each upstream."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components import collection
from components.certificates import ServerCertificate
from components.docker_engine import DockerEngine, DockerEngineArgs
from components.firewall import Firewall, FirewallArgs
from components.host import Host
from components.lib import access_rules, image_archive, image_reference
from components.lib.collect_settings import CollectSettings
from components.lib.registry_config import CacheSettings
from components.metrics import Metrics, MetricsArgs
from components.prefetch import Prefetch, PrefetchArgs
from components.registry_cache import (
    CERTIFICATE_FILE,
    REGISTRY_USER,
    RegistryCache,
    RegistryCacheArgs,
    docker_provider,
)


@dataclass(frozen=True)
class PublishedCache:
    """An upstream's cache, the port that it is published at, its URL for clients, and where its data is.

    ``replaces`` is the container whose place it takes.
    """

    cache: CacheSettings
    port: int
    url: str
    data_directory: str
    replaces: str | None = None


@dataclass(frozen=True)
class MirrorArgs:
    """What a mirror host runs, and the ``networks`` that may reach it.

    ``metrics`` are served to networks of their own, or not at all.
    """

    host: Host
    engine: DockerEngineArgs
    upstreams: Sequence[PublishedCache]
    networks: Sequence[str]
    metrics: access_rules.Metrics | None
    certificate: ServerCertificate | None
    image: str
    image_archive: str | None
    keep_data_on_destroy: bool
    collect: CollectSettings
    prefetch: Sequence[str]
    proof_image: str


class Mirror(pulumi.ComponentResource):
    """A host and its caches."""

    caches: Sequence[RegistryCache]
    ready: pulumi.Resource

    def __init__(self, name: str, args: MirrorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:Mirror", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.name, self.host, self.certificate = name, args.host, args.certificate
        DockerEngine(f"{name}-docker", args.engine, child)
        ports = [upstream.port for upstream in args.upstreams]
        Firewall(f"{name}-access", FirewallArgs(args.host, ports, args.networks, args.metrics), child)
        if args.certificate is not None:
            args.host.file(
                "certificate",
                CERTIFICATE_FILE,
                args.certificate.bundle,
                mode="400",
                owner=REGISTRY_USER,
                parent=self,
            )
        provider = docker_provider(f"{name}-docker-api", args.host, self)
        image = self._image(args, provider)
        self.caches = [
            RegistryCache(
                f"{name}-{upstream.cache.registry}",
                RegistryCacheArgs(
                    host=args.host,
                    provider=provider,
                    image_id=image,
                    cache=upstream.cache,
                    url=upstream.url,
                    port=upstream.port,
                    bind_ipv6=bool(access_rules.ipv6_networks(args.networks)),
                    data_directory=upstream.data_directory,
                    keep_data_on_destroy=args.keep_data_on_destroy,
                    certificate=args.certificate,
                    replaces=upstream.replaces,
                ),
                child,
            )
            for upstream in args.upstreams
        ]
        collected = collection.CollectionArgs(args.host, self.caches, args.collect)
        collection.Collection(f"{name}-collection", collected, child)
        settings = [upstream.cache for upstream in args.upstreams]
        Metrics(f"{name}-metrics", MetricsArgs(args.host, self.caches, settings, args.metrics), child)
        self._prefetch("prefetch", args, args.prefetch, required=True)
        # Many clients prove themselves at once, and each would have it fetched anew (distribution#3969). Why
        # it does not come, their proofs say.
        proof_image = str(image_reference.parse(args.proof_image))
        known = {str(image_reference.parse(image)) for image in args.prefetch}
        self._prefetch("proof-image", args, {proof_image} - known, required=False)
        self.ready = args.host.last_step
        self.register_outputs({})

    def _prefetch(self, step: str, args: MirrorArgs, images: Collection[str], *, required: bool) -> None:
        if images:
            ca = args.certificate.ca if args.certificate else None
            wanted = PrefetchArgs(args.host, step, self.caches, list(images), ca, required)
            Prefetch(f"{self.name}-{step}", wanted, pulumi.ResourceOptions(parent=self))

    def _image(self, args: MirrorArgs, provider: docker.Provider) -> pulumi.Input[str]:
        if args.image_archive is None:
            image = docker.RemoteImage(
                f"{self.name}-image",
                name=args.image,
                # Another stack or person may use it, and a destroy leaves Docker as it is.
                keep_locally=True,
                opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=[args.host.last_step]),
            )
            args.host.follow(image)
            return image.image_id
        archive = image_archive.read(args.image_archive)
        path = f"/var/tmp/registry-cache-{archive.image_id[7:19]}.tar"
        copied = command.remote.CopyToRemote(
            f"{self.name}-image-archive",
            connection=args.host.connection,
            source=pulumi.FileAsset(args.image_archive),
            remote_path=path,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.host.last_step]),
        )
        args.host.follow(copied)
        args.host.run("image", "load_image.sh", path, archive.image_id, parent=self)
        return archive.image_id
