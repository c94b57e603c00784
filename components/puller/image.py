"""All that a host pulls of an image: from its index to its layers."""

import json
from typing import Any, Callable, Dict, NamedTuple

from .cache import CachedRegistry, NotServed

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

STRANGE = "its manifest is of a kind that no host pulls"
NOT_AS_EXPECTED = (KeyError, TypeError, AttributeError)
"""What comes of looking into JSON that is of another shape."""


class Image(NamedTuple):
    """An image's name, as written and in its parts. ``reference`` is a digest or a tag."""

    name: str
    registry: str
    repository: str
    reference: str


def pull(registry: CachedRegistry, image: Image, architecture: str) -> Dict[str, int]:
    """Reads all that a Linux host pulls; its blobs' sizes. Raises NotServed with the reason."""
    manifest = _manifest(registry, image, image.reference)
    if "manifests" in manifest:
        manifest = _manifest(registry, image, chosen(manifest, architecture))
    try:
        # A layer with addresses of its own comes from there: its maker does not let registries hand it on.
        layers = [str(layer["digest"]) for layer in manifest["layers"] if not layer.get("urls")]
        blobs = [str(manifest["config"]["digest"]), *layers]
    except NOT_AS_EXPECTED:
        raise NotServed(STRANGE) from None
    return {digest: _read(registry, image, "blobs", digest, lambda _: None) for digest in blobs}


def chosen(index: Dict[str, Any], architecture: str) -> str:
    """The digest of the manifest that a Linux host takes from an index."""
    try:
        for entry in index["manifests"]:
            platform = entry.get("platform") or {}
            if (platform.get("os"), platform.get("architecture")) == ("linux", architecture):
                return str(entry["digest"])
    except NOT_AS_EXPECTED:
        raise NotServed(STRANGE) from None
    raise NotServed("it is not made for linux/{}".format(architecture))


def _manifest(registry: CachedRegistry, image: Image, reference: str) -> Dict[str, Any]:
    body = bytearray()
    _read(registry, image, "manifests", reference, body.extend)
    try:
        manifest = json.loads(bytes(body).decode())
    except (ValueError, RecursionError):
        raise NotServed("its manifest is not JSON") from None
    if not isinstance(manifest, dict):
        raise NotServed(STRANGE)
    return manifest


def _read(
    registry: CachedRegistry, image: Image, kind: str, reference: str, keep: Callable[[bytes], Any]
) -> int:
    path = "/v2/{}/{}/{}".format(image.repository, kind, reference)
    # Where a blob does not come, the upstream is asked about the image: that is what it limits and refuses.
    asked = reference if kind == "manifests" else image.reference
    accept = MANIFESTS + INDEXES if kind == "manifests" else ()
    return registry.read(path, accept, keep, (image.repository, asked))
