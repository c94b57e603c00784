"""What points a client at the caches: the CA where its Docker looks, and daemon.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from components.lib import hosts_toml
from components.registry_cache import RegistryCache


@dataclass(frozen=True)
class MirrorClientArgs:
    """``hub_caches`` are the caches of docker.io in the order in which they are tried; ``ca`` is PEM.

    ``after`` is what makes the mirrors ready.
    """

    host: Host
    hub_caches: Sequence[RegistryCache]
    other_caches: Sequence[RegistryCache]
    ca: pulumi.Input[str] | None
    after: Sequence[pulumi.Resource] = ()


class MirrorClient(pulumi.ComponentResource):
    """A host whose Docker pulls through the caches, configured only once they have answered."""

    def __init__(self, name: str, args: MirrorClientArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:MirrorClient", name, None, opts)
        hub_urls = [cache.url for cache in args.hub_caches]
        self.mirror_urls = hub_urls
        caches = [*args.hub_caches, *args.other_caches]
        trusted = [cache.url for cache in caches if cache.url.startswith("https:")]
        by_registry: dict[str, list[str]] = {}
        for cache in caches:
            by_registry.setdefault(cache.registry, []).append(cache.url)
        self.configured = args.host.run(
            "mirror-client",
            "mirror_client.sh",
            " ".join(hub_urls),
            " ".join(trusted),
            hosts_toml.render_all(by_registry, "/etc/docker/registry-cache-ca.crt" if trusted else None),
            stdin=args.ca if args.ca is not None else "",
            after=[*(cache.answers for cache in caches), *args.after],
            parent=self,
        )
        self.register_outputs({})
