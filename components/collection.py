"""What keeps a mirror's caches within their size: the collector, as a service of the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from components.lib import collect_settings
from components.lib.collect_settings import CachePlace, CollectSettings
from components.registry_cache import RegistryCache


@dataclass(frozen=True)
class CollectionArgs:
    """The caches of a host, and what they may take of it."""

    host: Host
    caches: Sequence[RegistryCache]
    settings: CollectSettings


class Collection(pulumi.ComponentResource):
    """The collector of a mirror: a run each minute, and one more by `make collect`."""

    def __init__(self, name: str, args: CollectionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:Collection", name, None, opts)
        places = [CachePlace(one.registry, one.container_name, one.data_directory) for one in args.caches]
        args.host.run(
            "collector",
            "collector.sh",
            *(part for place in places for part in (place.container, place.data_directory)),
            stdin=collect_settings.render(args.settings, places),
            package="collector",
            parent=self,
        )
        self.register_outputs({})
