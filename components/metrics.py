"""What a mirror tells Prometheus: its upstreams, asked each minute, and all of its metrics at one port."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from components.lib.access_rules import Metrics as MetricsAccess
from components.lib.registry_config import CacheSettings
from components.registry_cache import CERTIFICATE_FILE, RegistryCache

METRICS_DIRECTORY = "/var/lib/registry-cache/metrics"


@dataclass(frozen=True)
class MetricsArgs:
    """``access`` is None where nothing is served. ``settings`` are those of ``caches``, in their order."""

    host: Host
    caches: Sequence[RegistryCache]
    settings: Sequence[CacheSettings]
    access: MetricsAccess | None


class Metrics(pulumi.ComponentResource):
    """The prober and, where networks may read them, the server of the metrics."""

    def __init__(self, name: str, args: MetricsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:Metrics", name, None, opts)
        asked = _prober_settings(args)
        secret = any(cache.password for cache in args.settings)
        args.host.run(
            "upstreams",
            "prober.sh",
            stdin=pulumi.Output.secret(asked) if secret else asked,
            package="prober",
            parent=self,
        )
        if args.access is not None:
            served = _exporter_settings(args, args.access)
            args.host.run("metrics", "exporter.sh", stdin=served, package="exporter", parent=self)
        self.register_outputs({})


def _prober_settings(args: MetricsArgs) -> str:
    """What the prober is to ask, and by which way: the caches' own."""
    first = args.settings[0]
    return _as_text(
        {
            "certificate": CERTIFICATE_FILE if first.tls else None,
            "proxy": {"http": first.http_proxy, "https": first.https_proxy, "no_proxy": list(first.no_proxy)},
            "upstreams": [
                {
                    "name": cache.registry,
                    "url": cache.upstream_url,
                    "username": cache.username,
                    "password": cache.password,
                    "ca": made.upstream_ca_file,
                    "data": made.data_directory,
                }
                for cache, made in zip(args.settings, args.caches, strict=True)
            ],
        }
    )


def _exporter_settings(args: MetricsArgs, access: MetricsAccess) -> str:
    return _as_text(
        {
            "port": access.port,
            "networks": sorted(access.networks),
            "metrics": METRICS_DIRECTORY,
            "registries": {cache.registry: cache.data_directory for cache in args.caches},
        }
    )


def _as_text(document: object) -> str:
    # A line for each value, so that a preview shows just the one that changes.
    return json.dumps(document, indent=1) + "\n"
