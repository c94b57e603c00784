"""One cache's storage on disk: its blobs with their sizes, what is being uploaded, and who links what.

What grows is looked at all the time, so it is found by the times of folders: a new blob is a new folder in
one of the 256 that blobs are spread over, and only a folder whose time changed is read again.
"""

import os
import stat
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

LAYOUT = os.path.join("docker", "registry", "v2")
BLOCK = 512
AROUND_A_BLOB = 3 * 4096
"""What a blob takes besides its data: its own folder, its link, and the link's folder, a block each."""

SETTLED_SECONDS = 2.0
"""A folder that changed that lately may change again within the same tick of the file system's clock."""

NEW_SECONDS = 600.0
"""What was written that lately came in just now; what is older was put back, or was out of sight."""


class Blob(NamedTuple):
    """A blob's bytes on disk, and when its data was written."""

    size: int
    written: float


class Upload(NamedTuple):
    """What the registry fetches right now: bytes on disk, bytes of content, and when they last grew."""

    path: str
    size: int
    content: int
    grown: float


class Repository(NamedTuple):
    """A repository's name and folder."""

    name: str
    path: str


class Links(NamedTuple):
    """Which repositories have which digest, as layer and as manifest."""

    layers: Dict[str, Tuple[Repository, ...]]
    revisions: Dict[str, Tuple[Repository, ...]]

    def of(self, digest: str) -> List[str]:
        """Every link to a digest."""
        paths = [layer_link(repository, digest) for repository in self.layers.get(digest, ())]
        return paths + [revision_link(repository, digest) for repository in self.revisions.get(digest, ())]

    def has(self, digest: str) -> bool:
        """Whether anybody has it."""
        return digest in self.layers or digest in self.revisions


def _parts(digest: str) -> Tuple[str, str]:
    algorithm, _, name = digest.partition(":")
    return algorithm, name


def layer_link(repository: Repository, digest: str) -> str:
    """Where a repository has its link to a blob."""
    return os.path.join(repository.path, "_layers", *_parts(digest), "link")


def revision_link(repository: Repository, digest: str) -> str:
    """Where a repository has its link to a manifest."""
    return os.path.join(repository.path, "_manifests", "revisions", *_parts(digest), "link")


def tag_link(repository: Repository, tag: str) -> str:
    """Where a repository says what a tag names."""
    return os.path.join(repository.path, "_manifests", "tags", tag, "current", "link")


def listing(path: str) -> List[str]:
    """The names in a folder, none where there is no such folder."""
    try:
        return os.listdir(path)
    except OSError:
        return []


def content_of(path: str) -> Optional[str]:
    """A link's content, a digest."""
    try:
        with open(path, "rb") as stream:
            return stream.read(256).decode("ascii", "replace").strip()
    except OSError:
        return None


class BlobFolders:
    """The blobs of a cache. `known` and `settled` are what an earlier run found, to go on from."""

    def __init__(
        self, data: str, known: Optional[Dict[str, Blob]] = None, settled: Optional[Dict[str, int]] = None
    ) -> None:
        self.root = os.path.join(data, LAYOUT, "blobs")
        self.blobs: Dict[str, Blob] = known or {}
        # The times in another place's folders say nothing of the blobs known here, nor would they once it is
        # this cache's again.
        own = self.root + os.sep
        self.settled = {path: changed for path, changed in (settled or {}).items() if path.startswith(own)}
        self.changed: Set[str] = set()
        self.bytes = sum(blob.size for blob in self.blobs.values())
        self.appeared = 0
        # Folders of blobs without data: being made, or emptied. A new file in one changes nothing above it.
        self.hollow: Dict[str, str] = {}
        self._folders: Dict[str, List[str]] = {}
        self._inside: Dict[str, Set[str]] = {}
        for digest in self.blobs:
            self._inside.setdefault(self._folder(digest), set()).add(digest)

    def data(self, digest: str) -> str:
        """Where a blob's data is."""
        return os.path.join(self._folder(digest), _parts(digest)[1], "data")

    def refresh(self, now: Optional[float] = None) -> None:
        """Looks for what came and went."""
        now = time.time() if now is None else now
        listed: Set[str] = set()
        for algorithm in listing(self.root):
            top = os.path.join(self.root, algorithm)
            changed = self._time(top)
            if self.settled.get(top) != changed or top not in self._folders:
                self._folders[top] = [os.path.join(top, name) for name in listing(top)]
                self._settle(top, changed, now)
            listed.update(self._folders[top])
            for folder in self._folders[top]:
                changed = self._time(folder)
                if self.settled.get(folder) != changed:
                    self._read(folder, algorithm)
                    self._settle(folder, changed, now)
        for folder in set(self._inside) - listed:
            # What was moved away has the times that it had when it is back.
            self.settled.pop(folder, None)
            for digest in self._inside.pop(folder):
                self._drop(digest)
        for path, digest in list(self.hollow.items()):
            blob = self._look(path)
            if blob is not None:
                self._put(digest, blob)
            elif not os.path.isdir(path):
                del self.hollow[path]

    def gone(self, digest: str) -> None:
        """Notes that a blob's data was removed, and its folder maybe not."""
        self._drop(digest)
        path = os.path.dirname(self.data(digest))
        if os.path.isdir(path):
            self.hollow[path] = digest

    def lasting(self) -> Dict[str, int]:
        """The folders that a later run need not read again if their time is the same."""
        unsettled = {os.path.dirname(path) for path in self.hollow}
        return {path: changed for path, changed in self.settled.items() if path not in unsettled}

    def _folder(self, digest: str) -> str:
        algorithm, name = _parts(digest)
        return os.path.join(self.root, algorithm, name[:2])

    @staticmethod
    def _time(path: str) -> int:
        try:
            return os.stat(path).st_mtime_ns
        except OSError:
            return -1

    def _settle(self, path: str, changed: int, now: float) -> None:
        if changed / 1e9 < now - SETTLED_SECONDS:
            self.settled[path] = changed
        else:
            self.settled.pop(path, None)

    def _read(self, folder: str, algorithm: str) -> None:
        before = self._inside.get(folder, set())
        present = set()
        for name in listing(folder):
            path = os.path.join(folder, name)
            digest = f"{algorithm}:{name}"
            blob = self._look(path)
            if blob is None:
                self.hollow[path] = digest
            else:
                present.add(digest)
                self._put(digest, blob)
        for digest in before - present:
            self._drop(digest)

    @staticmethod
    def _look(path: str) -> Optional[Blob]:
        try:
            status = os.stat(os.path.join(path, "data"))
        except OSError:
            return None
        return Blob(status.st_blocks * BLOCK + AROUND_A_BLOB, status.st_mtime)

    def _put(self, digest: str, blob: Blob) -> None:
        self.hollow.pop(os.path.dirname(self.data(digest)), None)
        before = self.blobs.get(digest)
        if before == blob:
            return
        self.blobs[digest] = blob
        self.changed.add(digest)
        self._inside.setdefault(self._folder(digest), set()).add(digest)
        self.bytes += blob.size - (before.size if before else 0)
        if before is None and blob.written > time.time() - NEW_SECONDS:
            self.appeared += blob.size

    def _drop(self, digest: str) -> None:
        blob = self.blobs.pop(digest, None)
        if blob is not None:
            self.changed.add(digest)
            self.bytes -= blob.size
            self._inside.get(self._folder(digest), set()).discard(digest)


class Repositories:
    """The repositories of a cache, what each is fetching, and what each has."""

    def __init__(self, data: str) -> None:
        self.root = os.path.join(data, LAYOUT, "repositories")
        self._below: Dict[str, Tuple[int, List[str]]] = {}
        self._found: Dict[str, Repository] = {}
        self._uploading: Dict[str, Tuple[int, List[str]]] = {}

    def refresh(self) -> None:
        """Looks for new repositories, and for those that are gone."""
        found: Dict[str, Repository] = {}
        before, self._below = self._below, {}
        waiting = [self.root]
        while waiting:
            path = waiting.pop()
            try:
                changed = os.stat(path).st_mtime_ns
            except OSError:
                continue
            kept = before.get(path)
            names = kept[1] if kept and kept[0] == changed else listing(path)
            recent = changed / 1e9 > time.time() - SETTLED_SECONDS
            self._below[path] = (-1 if recent else changed, names)
            if any(name in ("_layers", "_manifests", "_uploads") for name in names):
                found[path] = self._found.get(path) or Repository(os.path.relpath(path, self.root), path)
            # A repository's own folders begin with what no name may begin with.
            waiting.extend(os.path.join(path, name) for name in names if not name.startswith("_"))
        self._found = found

    def empty(self) -> List[str]:
        """Folders of repositories, or of their namespaces, that have nothing in them any more."""
        return [path for path, (_, names) in self._below.items() if not names and path != self.root]

    def all(self) -> List[Repository]:
        """All of them, as of the last refresh."""
        return list(self._found.values())

    def at(self, name: str) -> Repository:
        """The repository of that name, be it there or not."""
        return Repository(name, os.path.join(self.root, *name.split("/")))

    def uploads(self) -> List[Upload]:
        """What is being fetched."""
        found = []
        for repository in self._found.values():
            folder = os.path.join(repository.path, "_uploads")
            try:
                changed = os.stat(folder).st_mtime_ns
            except OSError:
                continue
            kept = self._uploading.get(folder)
            names = kept[1] if kept and kept[0] == changed else listing(folder)
            recent = changed / 1e9 > time.time() - SETTLED_SECONDS
            self._uploading[folder] = (-1 if recent else changed, names)
            for name in names:
                path = os.path.join(folder, name)
                try:
                    status = os.stat(os.path.join(path, "data"))
                except OSError:
                    continue
                found.append(Upload(path, status.st_blocks * BLOCK, status.st_size, status.st_mtime))
        return found

    def links(self, exact: bool = False, times: Optional[Dict[str, int]] = None) -> Links:
        """Who has what, read anew: by the folders of links, or where `exact` by the links themselves.

        `times` are those of the folders that were read before with it: only what changed since is read.
        """
        layers: Dict[str, Tuple[Repository, ...]] = {}
        revisions: Dict[str, Tuple[Repository, ...]] = {}
        for repository in self._found.values():
            alone = (repository,)
            for found, below in ((layers, ("_layers",)), (revisions, ("_manifests", "revisions"))):
                folder = os.path.join(repository.path, *below)
                for algorithm in listing(folder):
                    if times is not None and _is_as_before(os.path.join(folder, algorithm), times):
                        continue
                    for name in listing(os.path.join(folder, algorithm)):
                        if exact and not os.path.exists(os.path.join(folder, algorithm, name, "link")):
                            continue
                        digest = f"{algorithm}:{name}"
                        found[digest] = found[digest] + alone if digest in found else alone
        return Links(layers, revisions)

    def tags(self) -> Iterator[Tuple[Repository, str, str]]:
        """Every tag, and the digest that it names."""
        for repository in self._found.values():
            for tag in listing(os.path.join(repository.path, "_manifests", "tags")):
                digest = content_of(tag_link(repository, tag))
                if digest:
                    yield repository, tag, digest


def _is_as_before(folder: str, times: Dict[str, int]) -> bool:
    """Whether a folder has the time that it had; notes the one that it has."""
    try:
        changed = os.stat(folder).st_mtime_ns
    except OSError:
        return False
    if times.get(folder) == changed:
        return True
    times[folder] = -1 if changed / 1e9 > time.time() - SETTLED_SECONDS else changed
    return False


class Disk(NamedTuple):
    """A file system's size, and what of it is free to those who are not root; in bytes."""

    size: int
    free: int


def disk_of(path: str) -> Disk:
    """The file system that a path is on, or would be on."""
    while not os.path.exists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def changed_at(path: str) -> Optional[float]:
    """When a path last changed in any way, its move to where it is now among them."""
    try:
        return os.stat(path).st_ctime
    except OSError:
        return None


def written_at(path: str) -> Optional[float]:
    """When a file was last written."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime if stat.S_ISREG(status.st_mode) else None
