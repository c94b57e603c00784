"""Taking content away from under a registry that serves.

The registry reads a repository's link, looks at the blob's size, sends it as Content-Length, and opens the
file only when it reads (registry/storage/blobserver.go, filereader.go); where the file is gone by then, it
ends the body early. So a blob goes in two steps: first its links, from when on every request is a miss that
the upstream answers, then, after a pause in which those that had seen a link have opened the file, its data.
An open file stays whole until it is closed. Only whole files are removed, so a kill in between leaves a
blob that nobody can ask for, which a later run takes. While some content waits for its second step, more may
begin to go: what comes in meanwhile does not wait as well.
"""

import contextlib
import os
import time
from typing import Callable, Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from .eviction import Chosen
from .manifests import BLOB
from .storage import BlobFolders, Links, Repositories, Upload

PAUSE_SECONDS = 0.25
SLICE_SECONDS = 0.01
LATENESS_FACTOR = 4
LONGEST_PAUSE_SECONDS = 5.0
NEARLY_DONE = 64 * 1024
"""An upload that lacks no more than this of a blob's size may be about to become that blob."""

UPLOADS_SECONDS = 0.01
"""How long a look at what is being uploaded holds."""

LINKS_SECONDS, LINKS_FACTOR = 0.25, 3
"""How long a look at the links that came back holds; where it took long, so many times that."""

SHORTEST_AGAIN_SECONDS, AGAIN_FACTOR = 0.05, 5
TRIED_SECONDS = 5.0
"""How often, and how long, data is tried for again that an upload may be about to become."""


class Outcome(NamedTuple):
    """What went of what was chosen, and what stays until an upload is done that may be about to become it."""

    gone: List[Chosen]
    waiting: List[Chosen]


class Removal:
    """Removes from one cache. `step` is called before each change, which is where tests kill it."""

    def __init__(
        self,
        folders: BlobFolders,
        repositories: Repositories,
        step: Callable[[str], None] = lambda _path: None,
    ) -> None:
        self._folders = folders
        self._repositories = repositories
        self._step = step
        self._uploads: List[Upload] = []
        self._looked = 0.0
        # What could not be removed, and why. It is not tried for again in this run.
        self.failed: Dict[str, str] = {}

    def unlink(self, chosen: Iterable[Chosen], links: Links) -> List[Chosen]:
        """The first step: from now on the registry has none of it; gives what that was done for."""
        return [one for one in chosen if self._try(self._unlink, one, links)]

    def _unlink(self, one: Chosen, links: Links) -> None:
        for link in links.of(one.content.digest):
            self._remove(link)
            if "_layers" in link.split(os.sep):
                # A layer's folder that goes just when its link is written again costs nobody anything:
                # the client has its bytes by then. A manifest's would cost an answer.
                self._remove_folder(os.path.dirname(link))

    def remove(self, chosen: Sequence[Chosen], links: Links) -> Outcome:
        """The second step, after the pause: the data of what has no link again."""
        wanted = {one.content.digest for one in chosen}
        back: Dict[str, Set[str]] = {}
        times: Dict[str, int] = {}
        holds_until = 0.0
        outcome = Outcome([], [])
        for one in chosen:
            if time.monotonic() >= holds_until:
                # Among many, what is removed last may have had its link for seconds.
                holds_until = self._find_links(wanted, back, times)
            digest = one.content.digest
            try:
                size = os.stat(self._folders.data(digest)).st_size
            except OSError:
                self._folders.gone(digest)
                continue
            # The registry drops an upload of what it finds to be there already, and links that.
            if self._is_nearly_uploaded(size):
                outcome.waiting.append(one)
                continue
            found = back.get(digest, set()).union(links.of(digest))
            if not any(os.path.exists(link) for link in found) and self._try(self._remove_data, one):
                outcome.gone.append(one)
        return outcome

    def _try(self, act: Callable[..., None], one: Chosen, *rest: Links) -> bool:
        try:
            act(one, *rest)
        except OSError as error:
            self.failed[one.content.digest] = str(error)
            return False
        return True

    def _find_links(self, wanted: Set[str], back: Dict[str, Set[str]], times: Dict[str, int]) -> float:
        """Adds the links to what is wanted that are new since the `times`; gives until when that holds."""
        begin = time.monotonic()
        self._repositories.refresh()
        # An upload is there until its link is: what was seen of them from here on stands for newer links.
        self._uploads = self._repositories.uploads()
        links = self._repositories.links(times=times)
        for digest in wanted.intersection([*links.layers, *links.revisions]):
            back.setdefault(digest, set()).update(links.of(digest))
        now = time.monotonic()
        return now + max(LINKS_SECONDS, LINKS_FACTOR * (now - begin))

    def _is_nearly_uploaded(self, size: int) -> bool:
        if time.monotonic() - self._looked > UPLOADS_SECONDS:
            self._uploads += self._repositories.uploads()
            self._looked = time.monotonic()
        return any(size - NEARLY_DONE <= upload.content <= size for upload in self._uploads)

    def _remove_data(self, one: Chosen) -> None:
        data = self._folders.data(one.content.digest)
        self._remove(data)
        if one.content.kind == BLOB:
            self._remove_folder(os.path.dirname(data))
        self._folders.gone(one.content.digest)

    def _remove(self, path: str) -> None:
        self._step(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

    def _remove_folder(self, path: str) -> None:
        self._step(path)
        # It is not empty where somebody writes there again.
        with contextlib.suppress(OSError):
            os.rmdir(path)


Job = Tuple[Removal, List[Chosen], Links]


class _Batch:
    """What was unlinked together."""

    def __init__(self, jobs: Sequence[Job], since: float, unlinked: float) -> None:
        self.jobs = list(jobs)
        self.since = since
        self.unlinked = unlinked
        self.latest = 0.0
        self.tried = False
        self.next = unlinked

    def is_due(self, now: float) -> bool:
        """Whether what had begun before is past its opening of files."""
        pause = min(PAUSE_SECONDS + LATENESS_FACTOR * self.latest, LONGEST_PAUSE_SECONDS)
        return now >= max(self.unlinked + pause, self.next)


class Leaving:
    """What is between its two steps, from several caches.

    On a machine that is short of time a goroutine may wait for its turn, as this process does, at a lower
    priority: how late its own short sleeps end tells for how long, several times over.
    """

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._batches: List[_Batch] = []
        self._took: List[Tuple[float, float]] = []

    def __bool__(self) -> bool:
        return bool(self._batches)

    @property
    def digests(self) -> Set[Tuple[str, str]]:
        """By cache and digest."""
        return {(one.content.cache, one.content.digest) for one in self._all()}

    @property
    def bytes(self) -> Dict[str, int]:
        """What is about to come free, by cache."""
        found: Dict[str, int] = {}
        for one in self._all():
            found[one.content.cache] = found.get(one.content.cache, 0) + one.content.size
        return found

    def slowest(self, seconds: float) -> float:
        """How long the slowest of the last so many seconds took, from the thought to what came free."""
        now = self._clock()
        self._took = [(ended, took) for ended, took in self._took if ended > now - seconds]
        return max((took for _, took in self._took), default=0.0)

    def begin(self, jobs: Sequence[Job], since: float) -> List[Chosen]:
        """The first step, for what was thought of at `since`; gives what is on its way out."""
        begun = [(removal, removal.unlink(chosen, links), links) for removal, chosen, links in jobs]
        # Also what had no link before waits: a run that was killed may have taken that a moment ago.
        self._batches.append(_Batch(begun, since, self._clock()))
        return [one for _, chosen, _ in begun for one in chosen]

    def nap(self) -> None:
        """Waits a moment, and notes by how much it became longer."""
        begin = self._clock()
        self._sleep(SLICE_SECONDS)
        late = self._clock() - begin - SLICE_SECONDS
        for batch in self._batches:
            batch.latest = max(batch.latest, late)

    def end(self) -> List[Chosen]:
        """The second step, for what has waited long enough; gives what went."""
        gone: List[Chosen] = []
        for batch in [one for one in self._batches if one.is_due(self._clock())]:
            begin = self._clock()
            waiting: List[Job] = []
            for removal, chosen, links in batch.jobs:
                outcome = removal.remove(chosen, links)
                gone += outcome.gone
                if outcome.waiting:
                    waiting.append((removal, outcome.waiting, links))
            now = self._clock()
            if not batch.tried:
                self._took.append((now, now - batch.since))
            batch.jobs, batch.tried = waiting, True
            batch.next = now + max(SHORTEST_AGAIN_SECONDS, AGAIN_FACTOR * (now - begin))
            if not waiting or now > batch.unlinked + TRIED_SECONDS:
                self._batches.remove(batch)
        return gone

    def drain(self) -> List[Chosen]:
        """The second step for all as soon as that may be, without another try; gives what went."""
        gone: List[Chosen] = []
        while self._batches:
            self.nap()
            gone += self.end()
            self._batches = [batch for batch in self._batches if not batch.tried]
        return gone

    def _all(self) -> Iterable[Chosen]:
        return (one for batch in self._batches for _, chosen, _ in batch.jobs for one in chosen)
