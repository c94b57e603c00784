"""Images that are in a mirror's caches before any client asks for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from components.lib import image_reference
from components.registry_cache import RegistryCache


@dataclass(frozen=True)
class PrefetchArgs:
    """``images`` come in this order, each from the cache of its registry. ``ca`` is PEM.

    Where they are not ``required``, one that does not come is told, and no more.
    """

    host: Host
    step: str
    caches: Sequence[RegistryCache]
    images: Sequence[str]
    ca: pulumi.Input[str] | None
    required: bool = True


class Prefetch(pulumi.ComponentResource):
    """A pull of each image through the caches, once for each list."""

    done: pulumi.Resource

    def __init__(self, name: str, args: PrefetchArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:Prefetch", name, None, opts)
        images = [image_reference.parse(image) for image in args.images]
        caches = {
            cache.registry: {
                "url": cache.url,
                "container": cache.container_name,
                "upstream": cache.upstream_url,
            }
            for cache in args.caches
            if any(image.registry == cache.registry for image in images)
        }
        question = {
            "required": args.required,
            "images": [
                {
                    "name": str(image),
                    "registry": image.registry,
                    "repository": image.repository,
                    "reference": image.reference,
                }
                for image in images
            ],
            "caches": caches,
            # Elsewhere nothing is there yet.
            "directories": sorted(cache.data_directory for cache in args.caches if cache.registry in caches),
        }
        ca = pulumi.Output.from_input(args.ca if args.ca is not None else "")
        self.done = args.host.run(
            args.step,
            "prefetch.sh",
            stdin=ca.apply(lambda pem: json.dumps({**question, "ca": pem}, indent=1) + "\n"),
            package="puller",
            parent=self,
        )
        self.register_outputs({})
