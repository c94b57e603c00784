"""What outlives a run: uses, blobs, manifests, counters and how far the logs were read, in one SQLite file.

Nothing here is worth more than a cache's order of eviction: a file that is damaged is begun anew, and a run
that cannot use it, on a full disk above all, does its work without.
"""

import contextlib
import json
import os
import sqlite3
import time
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from .ledger import KEPT_PULLS, KEPT_SECONDS, KNOWN_SECONDS, Client, Ledger
from .manifests import Manifest
from .registry_log import Position
from .storage import Blob, BlobFolders

VERSION = 2
SCHEMA = """
create table blob (cache text, digest text, size integer, written real, primary key (cache, digest));
create table folder (cache text, path text, changed integer, primary key (cache, path));
create table manifest (digest text primary key, kind integer, names text);
create table used (cache text, digest text, at real, again real, primary key (cache, digest));
create table log (cache text primary key, path text, inode integer, offset integer);
create table counter (cache text, name text, value integer, primary key (cache, name));
create table client (cache text, address text, last real, requests integer, primary key (cache, address));
create table pull (at real, cache text, client text, repository text);
create index pull_at on pull (at);
create table proof (client text primary key, at real);
create table sample (at integer, cache text, bytes integer, hits integer, misses integer, served integer,
  fetched integer, evicted integer, errors integer);
create index sample_at on sample (at);
create table fact (name text primary key, value text);
"""

Sample = Tuple[int, str, int, int, int, int, int, int, int]


class Usage:
    """The database at `path`. Everything between two calls of `commit` is kept whole or not at all.

    From the first `trouble` with it on, a run goes on in memory: what was committed stands, and the next run
    begins there.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.trouble: Optional[str] = None
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                self._open(path)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._remove()
                self._open(path)
        except (sqlite3.Error, OSError) as error:
            self._go_on_in_memory(error)

    def _open(self, path: str) -> None:
        self._database = sqlite3.connect(path, isolation_level="DEFERRED")
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        version = self._database.execute("pragma user_version").fetchone()[0]
        if version == 0:
            self._database.executescript(f"begin; {SCHEMA} pragma user_version = {VERSION}; commit;")
        elif version != VERSION:
            raise sqlite3.DatabaseError(f"a database of version {version}")
        self._database.execute("select count(*) from fact").fetchone()

    def _remove(self) -> None:
        self._database.close()
        for path in (self._path, self._path + "-wal", self._path + "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _go_on_in_memory(self, error: Exception) -> None:
        self.trouble = f"{os.path.basename(self._path)}: {error}"
        with contextlib.suppress(sqlite3.Error, AttributeError):
            self._database.close()
            if _is_damage(error):
                self._remove()
        self._open(":memory:")

    def close(self) -> None:
        """Ends it; what was not committed is dropped."""
        self._database.close()

    def commit(self) -> None:
        """Makes what was noted last."""
        try:
            self._database.commit()
        except sqlite3.Error as error:
            self._go_on_in_memory(error)

    def folders(self, cache: str, data: str) -> BlobFolders:
        """A cache's blobs as they were last seen."""
        blobs = {
            digest: Blob(size, written)
            for digest, size, written in self._rows(
                "select digest, size, written from blob where cache = ?", cache
            )
        }
        settled = dict(self._rows("select path, changed from folder where cache = ?", cache))
        return BlobFolders(data, blobs, settled)

    def keep_folders(self, cache: str, folders: BlobFolders) -> None:
        """Notes what changed since."""
        changed = [(cache, digest) for digest in folders.changed]
        present = [
            (cache, digest, *folders.blobs[digest]) for digest in folders.changed if digest in folders.blobs
        ]
        self._many("delete from blob where cache = ? and digest = ?", changed)
        self._many("insert into blob values (?, ?, ?, ?)", present)
        folders.changed.clear()
        self._rows("delete from folder where cache = ?", cache)
        self._many(
            "insert into folder values (?, ?, ?)",
            [(cache, path, changed) for path, changed in folders.lasting().items()],
        )

    def manifests(self) -> Dict[str, Manifest]:
        """All manifests that were ever read and are still there."""
        return {
            digest: Manifest(kind, tuple(json.loads(names)))
            for digest, kind, names in self._rows("select digest, kind, names from manifest")
        }

    def keep_manifests(self, found: Iterable[Tuple[str, Manifest]]) -> None:
        """Notes what new manifests name."""
        self._many(
            "insert or replace into manifest values (?, ?, ?)",
            [(digest, manifest.kind, json.dumps(manifest.names)) for digest, manifest in found],
        )

    def load(self, ledger: Ledger) -> None:
        """Gives a cache's books what earlier runs wrote in them, but nothing by a clock that was ahead."""
        cache, now = ledger.cache, time.time()
        for digest, at, again in self._rows(
            "select digest, at, again from used where cache = ? and at <= ?", cache, now
        ):
            ledger.uses[digest] = at
            if again is not None:
                ledger.returns[digest] = again
        ledger.counters.update(self._rows("select name, value from counter where cache = ?", cache))
        for address, last, requests in self._rows(
            "select address, last, requests from client where cache = ? and last >= ?",
            cache,
            now - KNOWN_SECONDS,
        ):
            ledger.clients[address] = Client(min(last, now), requests)
        ledger.proofs.update(
            (client, min(at, now))
            for client, at in self._rows("select client, at from proof where at >= ?", now - KNOWN_SECONDS)
        )
        last = self.fact(f"last_use {cache}")
        ledger.last_use = None if last is None else min(float(last), now)
        # Pulls that were in progress when the last run ended are so still.
        for name, book in (("asked", ledger.asked), ("served", ledger.served)):
            for client, digest, at in json.loads(self.fact(f"{name} {cache}") or "[]"):
                if at <= now:
                    book[client, digest] = at
        for nonce, addresses, pulled in json.loads(self.fact(f"marks {cache}") or "[]"):
            ledger.marks[nonce] = (set(addresses), pulled)

    def keep(self, ledger: Ledger) -> None:
        """Writes a cache's books."""
        cache = ledger.cache
        self._many(
            "insert or replace into used values (?, ?, ?, ?)",
            [(cache, digest, ledger.uses[digest], ledger.returns.get(digest)) for digest in ledger.new_uses],
        )
        self._many(
            "insert or replace into counter values (?, ?, ?)",
            [(cache, name, value) for name, value in ledger.counters.items()],
        )
        self._many(
            "insert or replace into client values (?, ?, ?, ?)",
            [(cache, address, *ledger.clients[address]) for address in ledger.new_clients],
        )
        self._many(
            "insert into pull values (?, ?, ?, ?)",
            [(at, cache, client, repository) for at, client, repository in ledger.new_pulls],
        )
        self._many("insert or replace into proof values (?, ?)", list(ledger.proofs.items()))
        if ledger.last_use is not None:
            self.set_fact(f"last_use {cache}", str(ledger.last_use))
        for key, book in (("asked", ledger.asked), ("served", ledger.served)):
            entries = [[client, digest, at] for (client, digest), at in book.items()]
            self.set_fact(f"{key} {cache}", json.dumps(entries))
        marks = [[nonce, sorted(addresses), pulled] for nonce, (addresses, pulled) in ledger.marks.items()]
        self.set_fact(f"marks {cache}", json.dumps(marks))
        ledger.new_uses.clear()
        ledger.new_clients.clear()
        del ledger.new_pulls[:]

    def position(self, cache: str, path: str) -> Optional[Position]:
        """How far a container's log was read; another container has another path."""
        rows = self._rows("select inode, offset from log where cache = ? and path = ?", cache, path)
        return next((Position(inode, offset) for inode, offset in rows), None)

    def keep_position(self, cache: str, path: str, position: Position) -> None:
        """Notes how far a log was read."""
        self._rows("insert or replace into log values (?, ?, ?, ?)", cache, path, *position)

    def fact(self, name: str) -> Optional[str]:
        """A single value by its name."""
        return next((value for (value,) in self._rows("select value from fact where name = ?", name)), None)

    def set_fact(self, name: str, value: str) -> None:
        """Notes a single value."""
        self._rows("insert or replace into fact values (?, ?)", name, value)

    def samples(self) -> List[Sample]:
        """What was sampled, oldest first."""
        return [tuple(row) for row in self._rows("select * from sample order by at")]

    def add_samples(self, samples: Iterable[Sample]) -> None:
        """Notes samples."""
        self._many("insert into sample values (?, ?, ?, ?, ?, ?, ?, ?, ?)", list(samples))

    def pulls(self, now: float) -> List[Tuple[float, str, str, str]]:
        """The latest pulls, oldest first."""
        rows = self._rows(
            "select at, cache, client, repository from pull where at >= ? order by at desc limit ?",
            now - KEPT_SECONDS,
            KEPT_PULLS,
        )
        return [tuple(row) for row in rows][::-1]

    def prune(self, cache: str, now: float) -> None:
        """Drops what nobody needs any more: uses of what is gone, manifests, old pulls and clients."""
        self._rows("delete from pull where at < ?", now - KEPT_SECONDS)
        # The last one before these days is what the counters of them grew from.
        self._rows(
            "delete from sample where at < (select max(at) from sample as older"
            " where older.cache = sample.cache and older.at < ?)",
            now - KEPT_SECONDS,
        )
        self._rows("delete from client where last < ?", now - KNOWN_SECONDS)
        self._rows("delete from proof where at < ?", now - KNOWN_SECONDS)
        self._rows(
            "delete from used where cache = ? and at < ? and digest not in"
            " (select digest from blob where cache = ?)",
            cache,
            now - KEPT_SECONDS,
            cache,
        )
        self._rows("delete from manifest where digest not in (select digest from blob)")

    def _rows(self, query: str, *values: Any) -> Iterator[Any]:
        try:
            return iter(self._database.execute(query, values).fetchall())
        except sqlite3.Error as error:
            self._go_on_in_memory(error)
            return iter(self._database.execute(query, values).fetchall())

    def _many(self, query: str, rows: List[Any]) -> None:
        try:
            if rows:
                self._database.executemany(query, rows)
        except sqlite3.Error as error:
            self._go_on_in_memory(error)


def _is_damage(error: Exception) -> bool:
    """Whether the file is to blame: malformed, no database, or another version's.

    Its subclasses tell of the moment: a full disk, a file that cannot be opened or is locked.
    """
    return type(error) is sqlite3.DatabaseError
