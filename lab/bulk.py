"""Many images at Docker Hub's stand-in, made by number: for tests that fill a cache."""

import hashlib
import io
import json
import random
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.errors import LabError

BLOCK = 64 * 1024
MEBIBYTE = 1024 * 1024
STORAGE = "var/lib/registry/docker/registry/v2"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIGURATION = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class BulkImages:
    """`count` images of layers of these sizes in MiB, no two alike, as `bulk/<number of eight>:<number>`.

    Their layers are noise: they can be pulled and checked, not unpacked.
    """

    count: int
    layers: Sequence[int]

    @property
    def names(self) -> list[str]:
        """REPOSITORY:TAG of each, as a registry is asked for it."""
        return [f"bulk/{number % 8}:{number}" for number in range(self.count)]

    @property
    def image_bytes(self) -> int:
        """The size of one image's layers."""
        return sum(self.layers) * MEBIBYTE

    def publish(self, container: str) -> None:
        """Writes all of them into the storage of the registry in this container."""
        copy = subprocess.Popen(
            ["docker", "cp", "-", f"{container}:/"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert copy.stdin is not None
        try:
            with copy.stdin, tarfile.open(fileobj=copy.stdin, mode="w|") as archive:
                for path, content in self._files():
                    entry = tarfile.TarInfo(f"{STORAGE}/{path}")
                    entry.size = len(content)
                    archive.addfile(entry, io.BytesIO(content))
        except BrokenPipeError:
            # What docker has to say about it is below.
            pass
        said = copy.stderr.read().decode(errors="replace") if copy.stderr else ""
        if copy.wait() != 0:
            raise LabError(f"the bulk images cannot be written to {container}: {said.strip()}")

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for number, name in enumerate(self.names):
            repository, tag = name.split(":")
            noise = random.Random(number)  # noqa: S311 - noise, no secret
            descriptors = []
            for kind, content in [
                (
                    CONFIGURATION,
                    json.dumps({"number": number, "architecture": "amd64", "os": "linux"}).encode(),
                ),
                *((LAYER, noise.randbytes(BLOCK) * (size * MEBIBYTE // BLOCK)) for size in self.layers),
            ]:
                digest = hashlib.sha256(content).hexdigest()
                descriptors.append({"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)})
                yield f"blobs/sha256/{digest[:2]}/{digest}/data", content
                yield f"repositories/{repository}/_layers/sha256/{digest}/link", f"sha256:{digest}".encode()
            document = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": descriptors[0],
                "layers": descriptors[1:],
            }
            manifest = json.dumps(document).encode()
            digest = hashlib.sha256(manifest).hexdigest()
            link = f"sha256:{digest}".encode()
            manifests = f"repositories/{repository}/_manifests"
            yield f"blobs/sha256/{digest[:2]}/{digest}/data", manifest
            yield f"{manifests}/revisions/sha256/{digest}/link", link
            yield f"{manifests}/tags/{tag}/current/link", link
            yield f"{manifests}/tags/{tag}/index/sha256/{digest}/link", link
