"""A registry's storage as distribution lays it out, made by hand for the collector's tests."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOUR = 3600.0


@dataclass
class Image:
    """An image that was put into the storage."""

    repository: str
    digest: str
    blobs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RegistryStorage:
    """The storage of one cache below `data`."""

    data: Path

    @property
    def root(self) -> Path:
        return self.data / "docker" / "registry" / "v2"

    def blob_file(self, digest: str) -> Path:
        algorithm, name = digest.split(":")
        return self.root / "blobs" / algorithm / name[:2] / name / "data"

    def layer_link(self, repository: str, digest: str) -> Path:
        return self.root / "repositories" / repository / "_layers" / digest.replace(":", "/") / "link"

    def revision_link(self, repository: str, digest: str) -> Path:
        revisions = self.root / "repositories" / repository / "_manifests" / "revisions"
        return revisions / digest.replace(":", "/") / "link"

    def tag_link(self, repository: str, tag: str) -> Path:
        return self.root / "repositories" / repository / "_manifests" / "tags" / tag / "current" / "link"

    def blob(self, content: bytes, repository: str | None, age: float = 0.0) -> str:
        """A blob, linked in a repository, written `age` seconds ago."""
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self._write(self.blob_file(digest), content, age)
        if repository is not None:
            self._write(self.layer_link(repository, digest), digest.encode(), age)
        return digest

    def manifest(
        self, document: dict[str, object], repository: str, tag: str | None, age: float = 0.0
    ) -> str:
        content = json.dumps(document).encode()
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self._write(self.blob_file(digest), content, age)
        self._write(self.revision_link(repository, digest), digest.encode(), age)
        if tag is not None:
            self._write(self.tag_link(repository, tag), digest.encode(), age)
            index = self.tag_link(repository, tag).parent.parent / "index" / digest.replace(":", "/") / "link"
            self._write(index, digest.encode(), age)
        return digest

    def image(
        self,
        name: str,
        layers: Sequence[bytes],
        *,
        tag: str | None = "latest",
        age: float = 0.0,
    ) -> Image:
        """An image with these layers and a configuration of its own."""
        config = self.blob(f"configuration of {name}:{tag}".encode(), name, age)
        blobs = [self.blob(layer, name, age) for layer in layers]
        document = {
            "schemaVersion": 2,
            "config": {"digest": config, "size": 1},
            "layers": [{"digest": blob, "size": 1} for blob in blobs],
        }
        return Image(name, self.manifest(document, name, tag, age), [config, *blobs])

    def upload(self, repository: str, content: bytes, age: float = 0.0) -> Path:
        """Something that is being fetched."""
        folder = self.root / "repositories" / repository / "_uploads" / f"{len(content)}-{age}"
        self._write(folder / "data", content, age)
        return folder

    def serves(self, repository: str, digest: str) -> bytes | None:
        """What a registry would answer from here: the whole blob, or None, which sends it to its upstream.

        Raises AssertionError where it would answer wrongly: with what it cannot open, or with other bytes.
        """
        for link in (self.layer_link(repository, digest), self.revision_link(repository, digest)):
            if link.exists() and self.blob_file(digest).exists():
                assert link.read_text() == digest
                content = self.blob_file(digest).read_bytes()
                assert "sha256:" + hashlib.sha256(content).hexdigest() == digest
                return content
        return None

    def digests(self) -> set[str]:
        """The blobs that have data."""
        return {f"sha256:{path.parent.name}" for path in self.root.glob("blobs/sha256/*/*/data")}

    def links(self) -> Iterator[Path]:
        """Every link of a layer or manifest."""
        yield from self.root.glob("repositories/**/_layers/sha256/*/link")
        yield from self.root.glob("repositories/**/_manifests/revisions/sha256/*/link")

    def make_old(self, age: float) -> None:
        """Sets the times of all folders, and of nothing else, back."""
        then = time.time() - age
        for folder, _, _ in os.walk(self.root):
            os.utime(folder, (then, then))

    @staticmethod
    def _write(path: Path, content: bytes, age: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        then = time.time() - age
        os.utime(path, (then, then))
