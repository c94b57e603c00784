"""One run: looks at what grows, reads what was used, and lets go of what has to."""

import contextlib
import json
import os
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import eviction, marks, report
from .cache import BURST_SECONDS, Cache, Container
from .due import is_due
from .eviction import Chosen, Content, Need
from .ledger import PULL_SECONDS, SILENT_SECONDS
from .marks import Pace
from .removal import Leaving
from .settings import Settings
from .storage import Links, disk_of
from .sweep import Sweep
from .usage import Sample, Usage

AT_ONCE = 20000
"""How many blobs go between two looks at everything else."""

SHORTEST_SECONDS, LONGEST_SECONDS = 0.1, 2.0
FASTEST_GROWTH = 1e9
"""No faster, in bytes a second, is a mark neared; so far from it, looks may be so far apart."""

REPORT_SECONDS = 10.0
SAMPLE_SECONDS = 60
SHORTEST_REACTION_SECONDS, REACTION_FACTOR = 1.5, 1.5
"""From passing a mark to having freed: by the slowest of the latest rounds, and half as much again.

On an idle machine it is a third of a second, but the first moment in which it is busy comes unannounced.
"""

STUCK_SECONDS, STUCK_FACTOR = 0.1, 10
"""Where nothing else may go: how long until the next look for it, and how many times what a look takes."""

SHORTEST_GAP_SECONDS, LONGEST_GAP_SECONDS, GAP_FADES = 2.0, 20.0, 0.8
"""Between the end of a run and the first look of the next one, as systemd and Python start it."""

SWEEP_SECONDS = 0.05


class Places(NamedTuple):
    """Where the collector reads and writes; the folder of `usage` has its locks as well."""

    usage: str
    metrics: str
    upstreams: str


class Collector:
    """All caches of a mirror, for one run. `find` gives their containers; `step` comes before each change."""

    def __init__(
        self,
        settings: Settings,
        usage: Usage,
        find: Callable[[], Dict[str, Container]],
        places: Places,
        step: Callable[[str], None] = lambda _path: None,
    ) -> None:
        self._settings = settings
        self._usage = usage
        self._places = places
        self._step = step
        self._find = find
        found = find()
        self.caches = [Cache(one, usage, found.get(one.container), step) for one in settings.upstreams]
        self._by_name = {cache.name: cache for cache in self.caches}
        self._manifests = usage.manifests()
        self._directory = settings.upstreams[0].data if settings.upstreams else "/"
        self._leaving = Leaving()
        self._stuck_until = 0.0
        self._reported = 0.0
        self._sampled = min(float(usage.fact("sampled") or 0), time.time())
        self._samples = usage.samples()
        self._pulls = usage.pulls(time.time())
        # Cache and repository that the sweep has come to. One run may be too short for all.
        self._swept: Optional[List[str]] = json.loads(usage.fact("swept") or "null")
        self._sweeping: Optional[Iterator[None]] = self._sweep_on() if self._swept else None
        self._begun = time.time()
        self._gap = SHORTEST_GAP_SECONDS
        self._worked = 0.0
        self.removed: Dict[str, Tuple[int, int]] = {}
        self.rounds = 0
        self.stuck = 0
        self._unwritten: Optional[str] = None
        self.look()
        self.before = self.bytes

    @property
    def bytes(self) -> int:
        """What all caches take together."""
        return sum(cache.bytes for cache in self.caches)

    def look(self) -> None:
        """Sees what came and went, in all caches."""
        for cache in self.caches:
            cache.look()

    def watch(self, seconds: float, stopped: Callable[[], bool]) -> None:
        """Looks all the time, and acts where something has to go, until `stopped` says so."""
        end = time.monotonic() + seconds
        self._note_gap()
        self.keep_limits()
        if self._is_due():
            self.collect()
        left: Optional[Need] = None
        while not stopped() and time.monotonic() < end:
            with self._at_work():
                left = self._begin_to_keep_limits(left=left)
                self._sweep_for(SWEEP_SECONDS)
                if time.monotonic() - self._reported >= REPORT_SECONDS:
                    self.write()
            self._wait(self._until_next_look())
            self.look()
            for cache in self.caches:
                cache.read_log()
        self.keep_limits(self._gap)
        self._usage.set_fact("ended", str(time.time()))
        self.write()

    def once(self) -> None:
        """Everything that there is to do, one time."""
        # From the begin on, whatever another run has come to.
        self._sweeping = None
        self.collect()
        self._sweep_for(float("inf"))
        self.keep_limits()
        self._worked = time.time() - self._begun
        self.write()

    def keep_limits(self, away: float = 0.0) -> None:
        """Lets go of what was used longest ago where a mark is passed.

        `away` is for how many seconds nobody will look after that: there must be room for what comes then.
        """
        left = self._begin_to_keep_limits(away)
        self._drain()
        while left is not None:
            left = self._begin_to_keep_limits(left=left)
            self._drain()

    def _begin_to_keep_limits(self, away: float = 0.0, left: Optional[Need] = None) -> Optional[Need]:
        """Lets as much begin to go as has to, or what is `left` of that; gives what is left now, if any."""
        begin = time.monotonic()
        if begin < self._stuck_until and not away:
            return None
        need = self._need(away) if left is None else left
        self.stuck = 0
        if not need.any():
            return None
        contents, links = self._everything()
        leaving = self._leaving.digests
        contents = [content for content in contents if (content.cache, content.digest) not in leaving]
        chosen = eviction.choose(contents, need)
        if eviction.less(need, chosen).any():
            least = eviction.less(self._need(away, self._settings.high), chosen)
            chosen += eviction.choose_awaited(contents, least, time.time() - SILENT_SECONDS)
        part = chosen[:AT_ONCE]
        begun = self._let_go(part, links, begin)
        rest = eviction.less(need, begun)
        if len(chosen) > AT_ONCE or (len(begun) < len(part) and rest.any()):
            return rest
        if rest.any():
            # All is on its way that may go. Looking again at once finds no more.
            self.stuck = self._excess()
            now = time.monotonic()
            self._stuck_until = now + max(STUCK_SECONDS, STUCK_FACTOR * (now - begin))
        return None

    def _wait(self, seconds: float) -> None:
        """Until it is time for the next look; ends what is on its way out as soon as that may be."""
        end = time.monotonic() + seconds
        while self._leaving and time.monotonic() < end:
            self._leaving.nap()
            with self._at_work():
                self._book_all(self._leaving.end())
        time.sleep(max(0.0, end - time.monotonic()))

    def _drain(self) -> None:
        """Waits until all is gone that is on its way out."""
        if self._leaving:
            self._book_all(self._leaving.drain())
            self.look()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self._worked += time.monotonic() - begin

    def collect(self) -> None:
        """Carries out ttl and untagged, and begins to look for leftovers."""
        now = time.time()
        settings = self._settings
        contents, links = self._everything(exact=True)
        ttl_before = now - settings.ttl if settings.ttl else None
        idle_before = None if settings.untagged is None else now - settings.untagged
        away = self._upstreams_away()
        chosen = eviction.expired(
            # What cannot be fetched again stays until it can.
            [content for content in contents if content.cache not in away],
            ttl_before,
            idle_before,
        )
        chosen += [Chosen(one, eviction.LEFTOVER) for one in contents if not one.linked and one.held is None]
        for begin in range(0, len(chosen), AT_ONCE):
            self._let_go(chosen[begin : begin + AT_ONCE], links, time.monotonic())
            self._drain()
        for cache in self.caches:
            self._usage.keep_folders(cache.name, cache.folders)
        for cache in self.caches:
            self._usage.prune(cache.name, now)
        self._usage.set_fact("collected", str(now))
        self._usage.commit()
        self._begin_to_sweep()

    def write(self) -> None:
        """Writes down what is known, for the next run and for those who look."""
        now = time.time()
        self._reported = time.monotonic()
        for cache in self.caches:
            cache.read_log()
            self._pulls += [
                (at, cache.name, client, repository) for at, client, repository in cache.ledger.new_pulls
            ]
            cache.ledger.forget_before(now - PULL_SECONDS)
            self._usage.keep(cache.ledger)
            self._usage.keep_folders(cache.name, cache.folders)
            if cache.log is not None and cache.log.position is not None:
                self._usage.keep_position(cache.name, cache.log.path, cache.log.position)
        found = self._find()
        for cache in self.caches:
            cache.meet(found.get(cache.container), self._usage)
        if now - self._sampled >= SAMPLE_SECONDS:
            self._sample(now)
        self._usage.set_fact("swept", json.dumps(self._swept))
        self._usage.set_fact("last_run", json.dumps(self._run(now)))
        self._usage.commit()
        self._pulls = report.recent(self._pulls, now)
        self._samples = report.samples(self._samples, now)
        state = self._state(now)
        try:
            report.write(os.path.join(self._places.metrics, "collect.json"), json.dumps(state))
            report.write(os.path.join(self._places.metrics, "collect.prom"), report.prometheus(state))
        except OSError as error:
            # On a full disk, where it matters most that content goes.
            self._unwritten = str(error)

    def close(self) -> None:
        """Ends the run; what was not written is dropped."""
        self._usage.close()

    def line(self) -> str:
        """What the run did, in one line."""
        text = report.line(
            self._run(time.time()), self.removed, self._settings.limit, self.stuck, self._worked
        )
        failed = [reason for cache in self.caches for reason in cache.removal.failed.values()]
        if failed:
            text += f"; {len(failed)} blob{'s' * (len(failed) > 1)} could not be removed: {failed[0]}"
        unwritten = [trouble for trouble in (self._usage.trouble, self._unwritten) if trouble]
        if unwritten:
            text += f"; could not be written: {', '.join(unwritten)}"
        return text

    def _need(self, away: float = 0.0, low: Optional[float] = None) -> Need:
        """What has to go, down to the mark `low` where a limit's high one is passed."""
        settings = self._settings
        low = settings.low if low is None else low
        disk = disk_of(self._directory)
        staying = self._staying()
        used = sum(staying.values())
        own = {}
        for cache in self.caches:
            if cache.limit is not None:
                own[cache.name] = self._over(staying[cache.name], cache.limit, low, cache.growth.rate, away)
        growth = sum(cache.growth.rate for cache in self.caches)
        limit = 0 if settings.limit is None else self._over(used, settings.limit, low, growth, away)
        free = disk.free + self.bytes - used - int(growth * away)
        return Need(limit, marks.under_reserve(free, settings.min_free_of(disk.size)), own)

    def _excess(self) -> int:
        """By how much a limit or the reserve is missed once all is gone that is on its way out."""
        disk = disk_of(self._directory)
        staying = self._staying()
        used = sum(staying.values())
        limits = [(staying[cache.name], cache.limit) for cache in self.caches] + [
            (used, self._settings.limit)
        ]
        over = [taken - limit for taken, limit in limits if limit is not None]
        free = disk.free + self.bytes - used
        return max(0, self._settings.min_free_of(disk.size) - free, *over)

    def _staying(self) -> Dict[str, int]:
        """What each cache takes without what is on its way out."""
        leaving = self._leaving.bytes
        return {cache.name: cache.bytes - leaving.get(cache.name, 0) for cache in self.caches}

    def _over(self, used: int, limit: int, low: float, growth: float, away: float) -> int:
        reaction = max(SHORTEST_REACTION_SECONDS, REACTION_FACTOR * self._leaving.slowest(BURST_SECONDS))
        pace = Pace(growth, reaction + away)
        return marks.over_limit(used, limit, self._settings.high, low, pace)

    def _note_gap(self) -> None:
        """Notes how long nobody looked before this run: the next time is likely to be as long."""
        ended = float(self._usage.fact("ended") or 0)
        last = min(max(time.time() - ended, SHORTEST_GAP_SECONDS), LONGEST_GAP_SECONDS)
        before = float(self._usage.fact("gap") or SHORTEST_GAP_SECONDS)
        # A long one is remembered for a few runs.
        self._gap = max(last, before * GAP_FADES)
        self._usage.set_fact("gap", str(self._gap))

    def _until_next_look(self) -> float:
        settings = self._settings
        disk = disk_of(self._directory)
        room = [disk.free - settings.min_free_of(disk.size)]
        if settings.limit is not None:
            room.append(int(settings.high * settings.limit) - self.bytes)
        room += [
            int(settings.high * cache.limit) - cache.bytes for cache in self.caches if cache.limit is not None
        ]
        return min(max(min(room) / FASTEST_GROWTH, SHORTEST_SECONDS), LONGEST_SECONDS)

    def _everything(self, exact: bool = False) -> Tuple[List[Content], Dict[str, Links]]:
        """All contents of all caches, after the latest uses were read, and who links them.

        Unless `exact`, an empty folder of a link counts as one, and nothing as tagged: that is slower to
        tell, and no matter for the order in which contents go.
        """
        contents: List[Content] = []
        links: Dict[str, Links] = {}
        for cache in self.caches:
            cache.read_log()
            links[cache.name] = cache.repositories.links(exact)
            found = list(cache.unread(links[cache.name], self._manifests))
            self._manifests.update(found)
            self._usage.keep_manifests(found)
        for cache in self.caches:
            contents += cache.contents(self._manifests, links[cache.name], with_tags=exact)
        return contents, links

    def _let_go(self, chosen: List[Chosen], links: Dict[str, Links], since: float) -> List[Chosen]:
        """Lets some content begin to go that was thought of at `since`; gives what of it does."""
        by_cache: Dict[str, List[Chosen]] = {}
        for one in chosen:
            by_cache.setdefault(one.content.cache, []).append(one)
        if not by_cache:
            return []
        self.rounds += 1
        return self._leaving.begin(
            [(self._by_name[name].removal, group, links[name]) for name, group in by_cache.items()], since
        )

    def _book_all(self, gone: List[Chosen]) -> None:
        now = time.time()
        for one in gone:
            self._book(self._by_name[one.content.cache], one.reason, 1, one.content.size, now)

    def _book(self, cache: Cache, reason: str, objects: int, size: int, now: float) -> None:
        counters = cache.ledger.counters
        for name, value in ((f"evicted.{reason}", objects), (f"evicted_bytes.{reason}", size)):
            counters[name] = counters.get(name, 0) + value
        before = self.removed.get(reason, (0, 0))
        self.removed[reason] = (before[0] + objects, before[1] + size)
        cache.last_eviction = str(now)
        self._usage.set_fact(f"last_eviction {cache.name}", cache.last_eviction)

    def _begin_to_sweep(self) -> None:
        for cache in self.caches:
            sweep = Sweep(cache.folders, cache.repositories, step=self._step)
            sweep.dead_uploads()
            if sweep.uploads:
                self._book(cache, eviction.LEFTOVER, sweep.uploads, sweep.upload_bytes, time.time())
        # One that is under way has not been everywhere yet: begun anew each time, it never would.
        if self._sweeping is None:
            self._swept = ["", ""]
            self._sweeping = self._sweep_on()

    def _sweep_on(self) -> Iterator[None]:
        assert self._swept is not None
        first, after = self._swept
        for cache in sorted(self.caches, key=lambda cache: cache.name):
            if cache.name >= first:
                sweep = Sweep(cache.folders, cache.repositories, step=self._step)
                for done in sweep.run(after if cache.name == first else ""):
                    self._swept = [cache.name, done]
                    yield
        self._swept = None

    def _sweep_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._sweeping is not None:
            try:
                next(self._sweeping)
            except StopIteration:
                self._sweeping = None
            if time.monotonic() >= end:
                break

    def _is_due(self) -> bool:
        if self._usage.trouble:
            # When it last was is not known.
            return False
        last = self._usage.fact("collected")
        return is_due(self._settings.collect, None if last is None else float(last), time.time())

    def _upstreams_away(self) -> Set[str]:
        """Upstreams that the prober finds out of reach, as of its last look some minutes ago at most."""
        try:
            with open(self._places.upstreams) as stream:
                seen: Dict[str, Any] = json.load(stream)
        except (OSError, ValueError):
            return set()
        if seen.get("at", 0) < time.time() - 600:
            return set()
        return {name for name, found in seen.get("upstreams", {}).items() if found.get("up") is False}

    def _sample(self, now: float) -> None:
        self._sampled = now
        rows: List[Sample] = [
            (int(now), cache.name, cache.bytes, *report.totals(cache.ledger.counters))
            for cache in self.caches
        ]
        self._samples += rows
        self._usage.add_samples(rows)
        self._usage.set_fact("sampled", str(now))

    def _run(self, now: float) -> Dict[str, Any]:
        return {
            "at": now,
            "seconds": now - self._begun,
            "before": self.before,
            "after": self.bytes,
            "removed_objects": sum(objects for objects, _ in self.removed.values()),
            "removed_bytes": sum(size for _, size in self.removed.values()),
        }

    def _state(self, now: float) -> Dict[str, Any]:
        disk = disk_of(self._directory)
        clients: Dict[str, Dict[str, Any]] = {}
        proofs: Dict[str, float] = {}
        for cache in self.caches:
            for address, client in cache.ledger.clients.items():
                clients.setdefault(address, {})[cache.name] = {
                    "last": client.last,
                    "requests": client.requests,
                }
            for name, at in cache.ledger.proofs.items():
                proofs[name] = max(proofs.get(name, 0.0), at)
        return {
            "at": now,
            "limit": self._settings.limit,
            "min_free": self._settings.min_free_of(disk.size),
            "stuck": self.stuck,
            "disk": {"size": disk.size, "free": disk.free},
            "last_run": self._run(now),
            "upstreams": {
                cache.name: report.upstream(
                    cache.bytes,
                    cache.limit,
                    cache.running,
                    cache.ledger.counters,
                    cache.ledger.last_use,
                    None if cache.last_eviction is None else float(cache.last_eviction),
                )
                for cache in self.caches
            },
            "clients": clients,
            "pulls": self._pulls,
            "proofs": proofs,
            "samples": self._samples,
        }
