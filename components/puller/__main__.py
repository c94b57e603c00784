"""`python3 -m puller <SETTINGS`: a line for each image; exits with 1 where one did not come, in the end.

SETTINGS is JSON: `ca` (PEM, or empty), `required` (else each is tried once, and a failure only told),
`images` (each an Image), and `caches` (for each of their registries a Cache).
"""

import json
import platform
import sys
from typing import List

from .cache import Cache, CachedRegistry, NotServed
from .image import Image, pull

TRIES = 5
NAMES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Architectures by the names that images have, where uname's is another."""


def main(text: str) -> int:
    """Pulls all images in their order; the exit code."""
    settings = json.loads(text)
    required = settings["required"]
    machine = platform.machine()
    caches = {
        registry: CachedRegistry(registry, Cache(**entry), settings["ca"], TRIES if required else 1)
        for registry, entry in settings["caches"].items()
    }
    failures: List[str] = []
    for entry in settings["images"]:
        image = Image(**entry)
        try:
            pulled = pull(caches[image.registry], image, NAMES.get(machine, machine))
        except NotServed as reason:
            failures.append("{}: {}".format(image.name, reason))
            told = "not pulled"
        else:
            told = "{} blobs, {:.1f} MiB".format(len(pulled), sum(pulled.values()) / 2**20)
        print("{}: {}".format(image.name, told), flush=True)
    for failure in failures:
        print(failure, file=sys.stderr if required else sys.stdout, flush=True)
    return 1 if failures and required else 0


if __name__ == "__main__":
    sys.exit(main(sys.stdin.read()))
