"""One cache of a mirror: its container, its storage and its books, and how fast it grows."""

import collections
import time
from typing import Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import eviction
from .eviction import STAYS, Content
from .ledger import PULL_SECONDS, Ledger, Storage
from .manifests import Manifest
from .manifests import parse as parse_manifest
from .registry_log import BLOB, LogFile
from .registry_log import parse as parse_answer
from .removal import Removal
from .settings import Upstream
from .storage import (
    BlobFolders,
    Links,
    Repositories,
    changed_at,
    content_of,
    layer_link,
    revision_link,
    tag_link,
    written_at,
)
from .usage import Usage

LARGEST_MANIFEST = 4 * 1024 * 1024
GROWTH_SECONDS, BURST_SECONDS = 2.0, 15.0

JUST_MOVED_SECONDS = 3.0
"""The registry moves a blob to its place before it links it: one without links may be that young.

Were it taken before its link, it would be fetched once more. What a kill left without links must not stand in
the way of the rest for long.
"""


class Container(NamedTuple):
    """A cache's container as Docker has it: its log file, and whether it runs."""

    log: str
    running: bool


def containers(text: str) -> Dict[str, Container]:
    """The containers from lines of `/name true|false log`."""
    found = {}
    for line in text.splitlines():
        words = line.split(" ", 2)
        if len(words) == 3:
            found[words[0].lstrip("/")] = Container(words[2], words[1] == "true")
    return found


class Growth:
    """How fast something grows: the fastest two seconds of the last fifteen, for pulls come in bursts."""

    def __init__(self) -> None:
        self._seen: Deque[Tuple[float, int]] = collections.deque()
        self._rates: Deque[Tuple[float, float]] = collections.deque()

    def note(self, at: float, grown: int) -> None:
        """Takes the sum of all that ever came in."""
        self._seen.append((at, grown))
        while len(self._seen) > 2 and self._seen[1][0] < at - GROWTH_SECONDS:
            self._seen.popleft()
        begin, before = self._seen[0]
        self._rates.append((at, max(grown - before, 0) / max(at - begin, 0.5)))
        while self._rates[0][0] < at - BURST_SECONDS:
            self._rates.popleft()

    @property
    def rate(self) -> float:
        """Bytes a second, 0 where little is known."""
        return max((rate for _, rate in self._rates), default=0.0)


class Cache:
    """One cache, with what this run knows of it."""

    def __init__(
        self, upstream: Upstream, usage: Usage, container: Optional[Container], step: Callable[[str], None]
    ) -> None:
        self.name = upstream.name
        self.container = upstream.container
        self.limit = upstream.limit
        self.running = False
        self.folders: BlobFolders = usage.folders(upstream.name, upstream.data)
        self.repositories = Repositories(upstream.data)
        self.ledger = Ledger(upstream.name, Storage(self._linked_at, self._tagged))
        usage.load(self.ledger)
        self.removal = Removal(self.folders, self.repositories, step)
        self.growth = Growth()
        self.uploading = 0
        self.last_eviction = usage.fact(f"last_eviction {upstream.name}")
        self.log: Optional[LogFile] = None
        self.meet(container, usage)

    @property
    def bytes(self) -> int:
        """All that it takes on disk, what is being fetched included."""
        return self.folders.bytes + self.uploading

    def meet(self, container: Optional[Container], usage: Usage) -> None:
        """Takes up the container as it is now: another one has another log."""
        self.running = container is not None and container.running
        if container is not None and container.log and (self.log is None or self.log.path != container.log):
            self.log = LogFile(container.log, usage.position(self.name, container.log))

    def look(self) -> None:
        """Sees what came and went."""
        self.folders.refresh()
        self.repositories.refresh()
        self.uploading = sum(upload.size for upload in self.repositories.uploads())
        self.growth.note(time.monotonic(), self.folders.appeared + self.uploading)

    def read_log(self) -> None:
        """Books what was answered since."""
        if self.log is not None:
            for line in self.log.lines():
                answer = parse_answer(line)
                if answer is not None:
                    self.ledger.add(answer)

    def contents(self, manifests: Dict[str, Manifest], links: Links, with_tags: bool) -> List[Content]:
        """Everything that is here, as decisions are made on it; tags are read only where they matter."""
        now = time.time()
        held = eviction.being_pulled(self.ledger.asked, self.ledger.served, manifests, now - PULL_SECONDS)
        held.update(dict.fromkeys(self.removal.failed, STAYS))
        linked = set()
        for digest in list(self.folders.blobs):
            if links.has(digest):
                linked.add(digest)
                continue
            changed = changed_at(self.folders.data(digest))
            if changed is None:
                self.folders.gone(digest)
            elif abs(now - changed) < JUST_MOVED_SECONDS:
                held[digest] = STAYS
        return eviction.describe(
            self.name,
            self.folders.blobs,
            self.ledger.standing(),
            manifests,
            [digest for _, _, digest in self.repositories.tags()] if with_tags else [],
            linked,
            held,
        )

    def unread(self, links: Links, known: Dict[str, Manifest]) -> Iterator[Tuple[str, Manifest]]:
        """Manifests that nobody has read yet."""
        for digest in links.revisions:
            blob = self.folders.blobs.get(digest)
            if digest in known or blob is None or blob.size > LARGEST_MANIFEST:
                continue
            try:
                with open(self.folders.data(digest), "rb") as stream:
                    manifest = parse_manifest(stream.read())
            except OSError:
                continue
            if manifest is not None:
                yield digest, manifest

    def _linked_at(self, kind: str, repository: str, digest: str) -> Optional[float]:
        link = layer_link if kind == BLOB else revision_link
        return written_at(link(self.repositories.at(repository), digest))

    def _tagged(self, repository: str, tag: str) -> Optional[str]:
        return content_of(tag_link(self.repositories.at(repository), tag))
