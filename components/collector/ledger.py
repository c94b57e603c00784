"""What the answers in a cache's log add up to: uses, pulls in progress, counters, clients, proofs."""

import time
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from . import registry_log
from .registry_log import Answer

PULL_SECONDS = 600.0
"""How long after its manifest a client may still ask for an image's blobs."""

SILENT_SECONDS = 60.0
"""A pull not heard of for so long may have to fetch again, where else a limit would not hold."""

RETURN_FADES = 0.8
RETURNS_AWAITED = 3
LONGEST_AWAITED_SECONDS = 3600.0
"""What is asked for again and again stays, as if just used, for so many of its intervals, at most so long."""

CLOCK_SLACK = 0.005
"""Files get their times from a clock of the kernel that ticks every 4 ms or so."""

KEPT_PULLS = 5000
KEPT_SECONDS = 48 * 3600.0
KNOWN_SECONDS = 30 * 24 * 3600.0
"""How long a client is remembered after its last request, and its last proof."""

HIT, MISS, ERROR = "hit", "miss", "error"
COUNTERS = (
    tuple(
        f"{kind}.{result}"
        for kind in (registry_log.BLOB, registry_log.MANIFEST)
        for result in (HIT, MISS, ERROR)
    )
    + ("served", "fetched")
    + tuple(f"error.{kind}" for kind in registry_log.ERRORS)
)


class Storage(NamedTuple):
    """What the ledger asks a cache's storage: when it linked something, and what a tag names now."""

    linked_at: Callable[[str, str, str], Optional[float]]
    tagged: Callable[[str, str], Optional[str]]


class Client(NamedTuple):
    """A client's last request, and how many there were."""

    last: float
    requests: int


class Ledger:
    """The books of one cache. What is not in them from an earlier run begins at zero."""

    def __init__(self, cache: str, storage: Storage) -> None:
        self.cache = cache
        self._storage = storage
        self.uses: Dict[str, float] = {}
        # How long it took until content was asked for again, in seconds.
        self.returns: Dict[str, float] = {}
        self.new_uses: Set[str] = set()
        self.counters: Dict[str, int] = {}
        self.clients: Dict[str, Client] = {}
        self.new_clients: Set[str] = set()
        self.pulls: List[Tuple[float, str, str]] = []
        self.new_pulls: List[Tuple[float, str, str]] = []
        self.proofs: Dict[str, float] = {}
        self.last_use: Optional[float] = None
        # By client and digest, for the last PULL_SECONDS.
        self.asked: Dict[Tuple[str, str], float] = {}
        self.served: Dict[Tuple[str, str], float] = {}
        # Of proofs, by their nonce: the addresses they came from, and whether one was given a manifest since.
        self.marks: Dict[str, Tuple[Set[str], bool]] = {}

    def add(self, answer: Answer) -> None:
        """Books one answer."""
        now = time.time()
        if answer.ended > now:
            # By a clock that was ahead it would be the latest of all for as long.
            answer = answer._replace(ended=now)
        if answer.error is not None:
            self._count(f"error.{answer.error}")
        if answer.kind == registry_log.BASE:
            self._book_mark(answer)
        elif answer.method in ("GET", "HEAD"):
            self._book_content(answer)

    def forget_before(self, moment: float) -> None:
        """Drops what is only needed while a pull lasts."""
        for book in (self.asked, self.served):
            for key in [key for key, at in book.items() if at < moment]:
                del book[key]
        if len(self.marks) > 1000:
            self.marks.clear()

    def _book_content(self, answer: Answer) -> None:
        failed = answer.status >= 400
        if answer.method == "GET":
            self._book_client(answer)
            if failed:
                self._count(f"{answer.kind}.{ERROR}")
        if failed:
            return
        digest: Optional[str] = answer.reference
        if ":" not in answer.reference:
            digest = self._storage.tagged(answer.repository, answer.reference)
        if digest is not None:
            self._book_use(digest, answer.ended)
        if answer.kind == registry_log.MANIFEST:
            # For an image that it has already, Docker asks by HEAD alone.
            pull = (answer.ended, answer.client, answer.repository)
            self.pulls.append(pull)
            self.new_pulls.append(pull)
            for nonce, (addresses, _) in self.marks.items():
                if answer.client in addresses:
                    self.marks[nonce] = (addresses, True)
        if answer.method != "GET":
            return
        if digest is not None:
            if answer.kind == registry_log.MANIFEST:
                self.asked[answer.client, digest] = answer.ended
            # An index in whose name a manifest is asked for is served by it, too.
            self.served[answer.client, digest] = answer.ended
        if answer.status == 200:
            missed = digest is None or self._was_fetched(answer, digest)
            self._count(f"{answer.kind}.{MISS if missed else HIT}")
            self._count("served", answer.written)
            if missed:
                self._count("fetched", answer.written)

    def _was_fetched(self, answer: Answer, digest: str) -> bool:
        """Whether the cache had to ask its upstream: it links what it fetched while it answers.

        Without a link, it has not come to that yet (version 2 stores beside the answer).
        """
        linked = self._storage.linked_at(answer.kind, answer.repository, digest)
        return linked is None or linked >= answer.began - CLOCK_SLACK

    def standing(self) -> Dict[str, float]:
        """When each content was last used, and for what comes back as much later as that makes it worth.

        Where more is pulled once than the cache can hold, by the last use alone an image of every few
        seconds would be the oldest each time.
        """
        return {
            digest: at + min(RETURNS_AWAITED * self.returns.get(digest, 0.0), LONGEST_AWAITED_SECONDS)
            for digest, at in self.uses.items()
        }

    def _book_use(self, digest: str, at: float) -> None:
        before = self.uses.get(digest)
        if before is None or before < at:
            if before is not None:
                # One pull asks more than once: its own short pauses must not stand for the time between two.
                self.returns[digest] = max(at - before, self.returns.get(digest, 0.0) * RETURN_FADES)
            self.uses[digest] = at
            self.new_uses.add(digest)
        self.last_use = max(self.last_use or 0.0, at)

    def _book_client(self, answer: Answer) -> None:
        before = self.clients.get(answer.client, Client(0.0, 0))
        self.clients[answer.client] = Client(max(before.last, answer.ended), before.requests + 1)
        self.new_clients.add(answer.client)

    def _book_mark(self, answer: Answer) -> None:
        nonce = answer.reference
        addresses, pulled = self.marks.get(nonce, (set(), False))
        if answer.repository == "begin":
            self.marks[nonce] = (addresses | {answer.client}, pulled)
        elif pulled:
            client = nonce.rpartition(".")[0]
            self.proofs[client] = max(self.proofs.get(client, 0.0), answer.ended)

    def _count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by
