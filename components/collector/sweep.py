"""What nobody can ask for any more: links to nothing, tags of what went, empty folders, dead uploads.

It comes from evictions, from kills half-way, and from the registry itself, which leaves an upload that ends
with its process. Only what has not been touched for long goes: whoever writes a link makes its folder first.
"""

import contextlib
import os
import shutil
import time
from typing import Callable, Iterator, Optional

from .storage import (
    BlobFolders,
    Repositories,
    Repository,
    content_of,
    layer_link,
    listing,
    revision_link,
    tag_link,
    written_at,
)

SAFE_SECONDS = 3600.0
"""Longer than any request takes from making a folder to writing what goes into it, by far."""


class Sweep:
    """Cleans one cache's storage, a repository at a time, so that whoever runs it can look up in between."""

    def __init__(
        self,
        folders: BlobFolders,
        repositories: Repositories,
        now: Optional[float] = None,
        step: Callable[[str], None] = lambda _path: None,
    ) -> None:
        self._folders = folders
        self._repositories = repositories
        self._before = (time.time() if now is None else now) - SAFE_SECONDS
        self._step = step
        self.uploads = 0
        self.upload_bytes = 0

    def dead_uploads(self) -> None:
        """Removes them. They may be large, and are found at once."""
        for upload in self._repositories.uploads():
            if upload.grown < self._before:
                self._step(upload.path)
                shutil.rmtree(upload.path, ignore_errors=True)
                self.uploads += 1
                self.upload_bytes += upload.size

    def run(self, after: str = "") -> Iterator[str]:
        """Cleans the repositories `after` one, by name, then all else; yields the names of those done."""
        for repository in sorted(self._repositories.all()):
            if repository.name > after:
                self._links(repository)
                self._tags(repository)
                self._empty_folders(repository)
                yield repository.name
        for path in [*self._repositories.empty(), *self._folders.hollow]:
            self._remove_empty(path)

    def _links(self, repository: Repository) -> None:
        for below, link_of in ((("_layers",), layer_link), (("_manifests", "revisions"), revision_link)):
            top = os.path.join(repository.path, *below)
            for algorithm in listing(top):
                for name in listing(os.path.join(top, algorithm)):
                    digest = f"{algorithm}:{name}"
                    if digest not in self._folders.blobs:
                        self._remove(link_of(repository, digest))

    def _tags(self, repository: Repository) -> None:
        tags = os.path.join(repository.path, "_manifests", "tags")
        for tag in listing(tags):
            digest = content_of(tag_link(repository, tag))
            if digest and not os.path.exists(revision_link(repository, digest)):
                self._remove(tag_link(repository, tag))
            index = os.path.join(tags, tag, "index")
            for algorithm in listing(index):
                for name in listing(os.path.join(index, algorithm)):
                    if not os.path.exists(revision_link(repository, f"{algorithm}:{name}")):
                        self._remove(os.path.join(index, algorithm, name, "link"))

    def _empty_folders(self, repository: Repository) -> None:
        # A folder that one was just removed from is young again: the next sweep takes it.
        for path, _, files in os.walk(repository.path, topdown=False):
            if not files:
                self._remove_empty(path)

    def _remove(self, link: str) -> None:
        written = written_at(link)
        if written is not None and written < self._before:
            self._step(link)
            with contextlib.suppress(OSError):
                os.unlink(link)

    def _remove_empty(self, path: str) -> None:
        try:
            if os.stat(path).st_mtime < self._before:
                self._step(path)
                os.rmdir(path)
        except OSError:
            # Not empty, or gone already.
            pass
