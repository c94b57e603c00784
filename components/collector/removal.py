"""Taking content away from under a registry that serves.

The registry reads a repository's link, looks at the blob's size, sends it as Content-Length, and opens the
file only when it reads (registry/storage/blobserver.go, filereader.go); where the file is gone by then, it
ends the body early. So a blob goes in two steps: first its links, from when on every request is a miss that
the upstream answers, then, after a pause in which those that had seen a link have opened the file, its data.
An open file stays whole until it is closed. Only whole files are removed, so a kill in between leaves a
blob that nobody can ask for, which a later run takes.
"""

import contextlib
import os
import time
from typing import Callable, Iterable, List, NamedTuple, Sequence, Tuple

from .eviction import Chosen
from .manifests import BLOB
from .storage import BlobFolders, Links, Repositories, Upload

PAUSE_SECONDS = 0.25
SLICE_SECONDS = 0.01
LATENESS_FACTOR = 4
LONGEST_PAUSE_SECONDS = 5.0
NEARLY_DONE = 64 * 1024
"""An upload that lacks no more than this of a blob's size may be about to become that blob."""


class Removed(NamedTuple):
    """What went: how many blobs of how many bytes, as of what was chosen."""

    chosen: List[Chosen]

    @property
    def bytes(self) -> int:
        """Their size on disk."""
        return sum(one.content.size for one in self.chosen)


def pause(sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> float:
    """Waits until what had begun is past its opening of files; gives the seconds that it took.

    On a machine that is short of time a goroutine may wait for its turn, as this process does, at a lower
    priority: how late its own short sleeps end tells for how long, several times over.
    """
    begin = last = clock()
    latest = 0.0
    while True:
        sleep(SLICE_SECONDS)
        now = clock()
        latest = max(latest, now - last - SLICE_SECONDS)
        last = now
        if now - begin >= min(PAUSE_SECONDS + LATENESS_FACTOR * latest, LONGEST_PAUSE_SECONDS):
            return now - begin


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

    def unlink(self, chosen: Iterable[Chosen], links: Links) -> None:
        """The first step: from now on the registry has none of it."""
        for one in chosen:
            for link in links.of(one.content.digest):
                self._remove(link)
                if "_layers" in link.split(os.sep):
                    # A layer's folder that goes just when its link is written again costs nobody anything:
                    # the client has its bytes by then. A manifest's would cost an answer.
                    self._remove_folder(os.path.dirname(link))

    def remove(self, chosen: Sequence[Chosen], links: Links) -> List[Chosen]:
        """The second step, after the pause: the data of what has no link again; gives what went."""
        self._repositories.refresh()
        again = self._repositories.links()
        uploads = self._repositories.uploads()
        return [one for one in chosen if self._remove_data(one, links, again, uploads)]

    def _remove_data(self, one: Chosen, links: Links, again: Links, uploads: Sequence[Upload]) -> bool:
        digest = one.content.digest
        data = self._folders.data(digest)
        try:
            size = os.stat(data).st_size
        except OSError:
            self._folders.gone(digest)
            return False
        # The registry drops an upload of what it finds to be there already, and links that.
        if any(size - NEARLY_DONE <= upload.content <= size for upload in uploads):
            return False
        if any(os.path.exists(link) for link in set(links.of(digest) + again.of(digest))):
            return False
        self._remove(data)
        if one.content.kind == BLOB:
            self._remove_folder(os.path.dirname(data))
        self._folders.gone(digest)
        return True

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


def carry_out(jobs: Sequence[Job], wait: Callable[[], float] = pause) -> Removed:
    """Both steps for what was chosen in several caches, with one pause in between."""
    for removal, chosen, links in jobs:
        removal.unlink(chosen, links)
    # Also for what had no link before: a run that was killed may have taken that a moment ago.
    wait()
    gone: List[Chosen] = []
    for removal, chosen, links in jobs:
        gone.extend(removal.remove(chosen, links))
    return Removed(gone)
