"""The collector on a registry's storage: what it sees, what it removes, and what a kill leaves behind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from components.collector import cache, collector, removal, sweep
from components.collector.cache import containers
from components.collector.collector import Collector, Places
from components.collector.eviction import Chosen, Content
from components.collector.manifests import BLOB
from components.collector.removal import Leaving, Removal
from components.collector.settings import Settings, Upstream
from components.collector.storage import AROUND_A_BLOB, BlobFolders, Links, Repositories
from components.collector.usage import Usage
from components.status import records
from tests import collector_program
from tests.unit.registry_storage import HOUR, Image, RegistryStorage

BLOCKS = 64 * 1024
ALLOCATED = BLOCKS + AROUND_A_BLOB


class Killed(BaseException):
    """In place of SIGKILL."""


@pytest.fixture
def storage(tmp_path: Path) -> RegistryStorage:
    return RegistryStorage(tmp_path / "data")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PAUSE_SECONDS", 0.0)


def layer(number: int) -> bytes:
    """A layer of its own that takes BLOCKS bytes."""
    return number.to_bytes(4, "big") * (BLOCKS // 4)


def settings(storage: RegistryStorage, **changes: object) -> Settings:
    usual: dict[str, object] = {
        "limit": None,
        "high": 0.9,
        "low": 0.75,
        "min_free": "0",
        "ttl": 0,
        "untagged": None,
        "collect": "hourly",
        "upstreams": [Upstream("docker.io", "registry-cache-docker.io", str(storage.data), None)],
    }
    return Settings(**{**usual, **changes})  # type: ignore[arg-type]


def run(
    storage: RegistryStorage,
    told: Settings,
    *,
    log: Path | None = None,
    step: Callable[[str], None] = lambda _path: None,
) -> Collector:
    """A run that has looked at everything and done nothing yet."""
    place = storage.data.parent
    places = Places(
        str(place / "usage.db"), str(place / "metrics"), str(place / "metrics" / "upstreams.json")
    )
    found = containers(f"/registry-cache-docker.io true {log}") if log else {}
    return Collector(told, Usage(places.usage), lambda: found, places, step)


def report(storage: RegistryStorage) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads(
        (storage.data.parent / "metrics" / "collect.json").read_text()
    )
    return found


def images(storage: RegistryStorage, count: int) -> list[Image]:
    """Images of one layer each, the first one the oldest."""
    return [storage.image(f"library/i{n}", [layer(n)], age=(count - n) * HOUR) for n in range(count)]


def write_use(
    log: Path,
    repository: str,
    reference: str,
    *,
    method: str = "GET",
    kind: str = "manifests",
    ago: float = 0.0,
    client: str = "10.0.0.7",
) -> None:
    """Writes down in a registry's log that a client was given something, or proves its way (kind "proof")."""
    uri = f"/v2/?proof={reference}" if kind == "proof" else f"/v2/{repository}/{kind}/{reference}"
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - ago))
    line = (
        f'time="{at}" level=info msg="response completed" http.request.method={method}'
        f' http.request.remoteaddr="{client}:1" http.request.uri="{uri}" http.response.duration=1ms'
        " http.response.status=200 http.response.written=1\n"
    )
    with log.open("a") as stream:
        stream.write(json.dumps({"log": line}) + "\n")


def is_whole(storage: RegistryStorage, image: Image) -> bool:
    return all(storage.serves(image.repository, digest) for digest in [image.digest, *image.blobs])


def is_gone(storage: RegistryStorage, image: Image) -> bool:
    return not any(storage.blob_file(digest).exists() for digest in [image.digest, *image.blobs])


def test_a_look_sees_what_came_and_went(storage: RegistryStorage) -> None:
    folders = BlobFolders(str(storage.data))
    folders.refresh()
    assert folders.bytes == 0
    digest = storage.blob(layer(1), "library/a")
    folders.refresh()
    assert folders.bytes == ALLOCATED
    storage.blob_file(digest).unlink()
    storage.blob_file(digest).parent.rmdir()
    folders.refresh()
    assert folders.blobs == {}


def test_a_folder_whose_time_is_the_same_is_not_read_again(
    storage: RegistryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.blob(layer(1), "library/a")
    storage.make_old(60)
    folders = BlobFolders(str(storage.data))
    folders.refresh()
    again = BlobFolders(str(storage.data), dict(folders.blobs), folders.lasting())
    again.refresh()

    def read(_self: BlobFolders, folder: str, _algorithm: str) -> None:
        raise AssertionError(f"{folder} is as it was")

    monkeypatch.setattr(BlobFolders, "_read", read)
    again.refresh()
    assert again.bytes == ALLOCATED


def test_what_vanishes_with_its_folder_is_no_longer_counted_and_counts_again_when_it_is_back(
    storage: RegistryStorage, tmp_path: Path
) -> None:
    images(storage, 3)
    storage.make_old(60)
    whole = run(storage, settings(storage))
    whole.once()
    whole.close()
    storage.root.rename(tmp_path / "away")
    emptied = run(storage, settings(storage, limit=10_000))
    assert emptied.bytes == 0
    emptied.once()
    assert emptied.removed == {}
    emptied.close()
    (tmp_path / "away").rename(storage.root)
    assert run(storage, settings(storage)).bytes == whole.bytes


def test_only_what_is_new_is_growth_and_not_what_was_away(storage: RegistryStorage, tmp_path: Path) -> None:
    """By its growth a cache would at once be emptied to the half of its limit."""
    images(storage, 3)
    folders = BlobFolders(str(storage.data))
    folders.refresh()
    storage.root.rename(tmp_path / "away")
    folders.refresh()
    assert folders.bytes == 0
    (tmp_path / "away").rename(storage.root)
    folders.refresh()
    assert folders.bytes > 0
    assert folders.appeared == 0
    storage.blob(layer(9), "library/new")
    folders.refresh()
    assert folders.appeared == ALLOCATED


def test_a_cache_with_another_folder_of_data_is_counted_anew_and_so_is_the_first_one_again(
    storage: RegistryStorage, tmp_path: Path
) -> None:
    images(storage, 3)
    storage.make_old(60)
    elsewhere = RegistryStorage(tmp_path / "elsewhere")
    other = Upstream("docker.io", "registry-cache-docker.io", str(elsewhere.data), None)
    elsewhere.blob(layer(9), "library/a", age=60)
    elsewhere.make_old(60)
    seen = []
    for told in (settings(storage), settings(storage, upstreams=[other]), settings(storage)):
        running = run(storage, told)
        running.write()
        seen.append(running.bytes)
        running.close()
    assert seen == [3 * (ALLOCATED + 2 * (4096 + AROUND_A_BLOB)), ALLOCATED, seen[0]]


def test_a_blob_whose_data_is_gone_unseen_is_gone_and_not_held(storage: RegistryStorage) -> None:
    digest = storage.blob(layer(1), None, age=60)
    storage.make_old(60)
    run(storage, settings(storage)).write()
    running = run(storage, settings(storage, limit=1000))
    storage.blob_file(digest).unlink()
    running.keep_limits()
    assert running.bytes == 0
    assert running.stuck == 0


def test_a_blob_that_comes_back_into_its_emptied_folder_is_seen(storage: RegistryStorage) -> None:
    digest = storage.blob(layer(1), "library/a")
    folders = BlobFolders(str(storage.data))
    folders.refresh()
    storage.blob_file(digest).unlink()
    folders.gone(digest)
    storage.make_old(60)
    folders.refresh()
    assert folders.bytes == 0
    then = time.time() - 60
    storage.blob(layer(1), "library/a")
    os.utime(storage.blob_file(digest).parent.parent, (then, then))
    folders.refresh()
    assert folders.bytes == ALLOCATED


def test_repositories_and_their_uploads_are_found_at_any_depth(storage: RegistryStorage) -> None:
    repositories = Repositories(str(storage.data))
    repositories.refresh()
    assert repositories.all() == []
    for name in ("library/nginx", "a/b/c/d", "a/b"):
        storage.blob(layer(1), name)
    storage.upload("a/b", b"x" * 5000)
    repositories.refresh()
    assert sorted(one.name for one in repositories.all()) == ["a/b", "a/b/c/d", "library/nginx"]
    assert [(upload.content, upload.size) for upload in repositories.uploads()] == [(5000, 8192)]
    storage.upload("library/nginx", b"y")
    assert len(repositories.uploads()) == 2


def test_over_the_high_mark_the_oldest_go_down_to_the_low_one(storage: RegistryStorage) -> None:
    made = images(storage, 20)
    limit = int(20 * (ALLOCATED + 2 * (4096 + AROUND_A_BLOB)) / 0.95)

    running = run(storage, settings(storage, limit=limit))
    before = running.bytes
    running.keep_limits()

    assert before > 0.9 * limit
    assert 0.6 * limit < running.bytes <= 0.75 * limit
    gone = [image for image in made if is_gone(storage, image)]
    assert gone == made[: len(gone)]
    assert all(is_whole(storage, image) for image in made[len(gone) + 1 :])
    running.write()
    assert report(storage)["upstreams"]["docker.io"]["bytes"] == running.bytes  # type: ignore[index]
    assert running.removed["limit"][0] >= 3 * len(gone)
    assert "removed" in running.line()


def test_many_blobs_go_in_parts_and_still_down_to_the_low_mark(
    storage: RegistryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "AT_ONCE", 2)
    images(storage, 20)
    limit = int(20 * (ALLOCATED + 2 * (4096 + AROUND_A_BLOB)) / 0.95)
    running = run(storage, settings(storage, limit=limit))
    running.keep_limits()
    assert running.bytes <= 0.75 * limit
    assert running.rounds > 3


def test_below_the_high_mark_nothing_goes(storage: RegistryStorage) -> None:
    made = images(storage, 10)
    running = run(storage, settings(storage, limit=10_000_000))
    running.keep_limits()
    running.once()
    assert all(is_whole(storage, image) for image in made)
    assert running.removed == {}


def test_a_use_in_the_log_keeps_an_old_image(storage: RegistryStorage, tmp_path: Path) -> None:
    made = images(storage, 10)
    log = tmp_path / "log"
    write_use(log, "library/i0", "latest", method="HEAD")
    running = run(storage, settings(storage, limit=600_000), log=log)
    running.keep_limits()
    assert is_whole(storage, made[0])
    assert is_gone(storage, made[1])
    running.write()
    log.write_text("")
    for number in range(50, 58):
        storage.image(f"library/i{number}", [layer(number)], age=HOUR / 2)
    later = run(storage, settings(storage, limit=600_000), log=log)
    later.keep_limits()
    assert is_whole(storage, made[0]), "a later run knows it too"


@pytest.mark.parametrize(
    ("asked_ago", "served_ago", "stays"),
    [
        (5.0, None, True),
        (300.0, None, False),
        (300.0, 5.0, True),
        # The clock was ahead.
        (-8 * HOUR, None, True),
    ],
)
def test_what_is_being_pulled_stays_unless_a_limit_needs_it_and_the_client_has_been_silent(
    storage: RegistryStorage, tmp_path: Path, asked_ago: float, served_ago: float | None, stays: bool
) -> None:
    made = [storage.image(f"library/i{n}", [layer(n), layer(100 + n)], age=HOUR) for n in range(20)]
    log = tmp_path / "log"
    for image in made:
        write_use(log, image.repository, image.digest, ago=asked_ago)
        if served_ago is not None:
            write_use(log, image.repository, image.blobs[1], kind="blobs", ago=served_ago)
    kept = run(storage, settings(storage, limit=100 * ALLOCATED), log=log)
    kept.keep_limits()
    kept.write()
    kept.close()
    running = run(storage, settings(storage, limit=10 * ALLOCATED), log=log)
    running.keep_limits()
    assert all(storage.serves(image.repository, image.blobs[2]) is not None for image in made) is stays
    assert (running.stuck > 0) is stays
    assert stays or 8 * ALLOCATED <= running.bytes <= 9 * ALLOCATED, "no deeper than it has to"


def test_a_clock_that_was_ahead_keeps_nothing_for_longer(
    storage: RegistryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = images(storage, 5)
    log = tmp_path / "log"
    with monkeypatch.context() as ahead:
        now = time.time
        ahead.setattr(time, "time", lambda: now() + 8 * HOUR)
        write_use(log, "library/i0", made[0].digest)
        early = run(storage, settings(storage), log=log)
        early.once()
        early.close()
    running = run(storage, settings(storage, limit=2 * ALLOCATED, ttl=int(HOUR / 2)), log=log)
    running.watch(0.0, lambda: True)
    assert is_gone(storage, made[0]), "nobody is about to ask for it, and it is the oldest"
    assert running.removed["ttl"][0] > 0, "the next time to collect is not in eight hours"


def test_what_is_being_fetched_counts_and_stays(storage: RegistryStorage) -> None:
    images(storage, 4)
    upload = storage.upload("library/i0", layer(9) * 20)
    running = run(storage, settings(storage, limit=1_000_000))
    running.once()
    assert (upload / "data").exists()
    assert running.bytes > 1_000_000
    assert running.stuck > 0
    assert "nothing else may go" in running.line()


def test_a_blob_that_was_just_put_in_place_waits_for_its_link(storage: RegistryStorage) -> None:
    digest = storage.blob(layer(1), None)
    running = run(storage, settings(storage, limit=10_000))
    running.once()
    assert storage.blob_file(digest).exists()


def test_a_shared_layer_stays_in_all_its_repositories(storage: RegistryStorage) -> None:
    old = storage.image("library/old", [layer(1), layer(2)], age=5 * HOUR)
    new = storage.image("library/new", [layer(2)], age=HOUR)
    running = run(storage, settings(storage, limit=200_000))
    running.keep_limits()
    assert not storage.blob_file(old.blobs[1]).exists()
    assert is_whole(storage, new)
    assert storage.serves("library/old", old.blobs[2]) is not None


def test_ttl_and_untagged_are_carried_out_when_due(storage: RegistryStorage) -> None:
    old = storage.image("library/old", [layer(1)], age=10 * HOUR)
    loose = storage.image("library/loose", [layer(2)], tag=None, age=4 * HOUR)
    young = storage.image("library/young", [layer(3)], age=4 * HOUR)
    told = settings(storage, ttl=int(8 * HOUR), untagged=int(2 * HOUR))
    running = run(storage, told)
    running.watch(0.0, lambda: True)
    assert is_gone(storage, old)
    assert is_gone(storage, loose)
    assert is_whole(storage, young)
    assert {reason: objects for reason, (objects, _) in running.removed.items()} == {"ttl": 3, "untagged": 3}
    again = storage.image("library/old", [layer(1)], age=10 * HOUR)
    run(storage, told).watch(0.0, lambda: True)
    assert is_whole(storage, again), "not before the next hour"


def test_ttl_waits_while_the_upstream_is_away(storage: RegistryStorage) -> None:
    old = storage.image("library/old", [layer(1)], age=10 * HOUR)
    metrics = storage.data.parent / "metrics"
    metrics.mkdir()
    seen = {"at": time.time(), "upstreams": {"docker.io": {"up": False}}}
    (metrics / "upstreams.json").write_text(json.dumps(seen))
    run(storage, settings(storage, ttl=int(HOUR))).once()
    assert is_whole(storage, old)


def test_the_disks_reserve_is_kept_whoever_fills_it(storage: RegistryStorage) -> None:
    made = images(storage, 3)
    file_system = os.statvfs(storage.data)
    more_than_there_is = file_system.f_blocks * file_system.f_frsize
    running = run(storage, settings(storage, min_free=str(more_than_there_is)))
    running.keep_limits()
    assert all(is_gone(storage, image) for image in made)
    assert running.removed["disk"][0] == 9
    assert running.stuck > 0


@pytest.mark.parametrize("seed", range(10))
def test_killed_at_any_point_nothing_that_is_left_answers_wrongly(
    storage: RegistryStorage, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test does not wait until its blobs are old enough to be known as left behind.
    monkeypatch.setattr(cache, "JUST_MOVED_SECONDS", -1.0)
    made = images(storage, 12)
    steps = 0

    def count(_path: str) -> None:
        nonlocal steps
        steps += 1

    def check() -> None:
        for image in made:
            for digest in [image.digest, *image.blobs]:
                storage.serves(image.repository, digest)

    rehearsal = RegistryStorage(storage.data.parent / "rehearsal" / "data")
    images(rehearsal, 12)
    run(rehearsal, settings(rehearsal, limit=600_000), step=count).keep_limits()
    fatal = 1 + seed * steps // 10
    steps = 0

    def kill(path: str) -> None:
        count(path)
        if steps == fatal:
            raise Killed(path)

    killed = run(storage, settings(storage, limit=600_000), step=kill)
    with pytest.raises(Killed):
        killed.keep_limits()
    killed.close()
    check()
    later = run(storage, settings(storage, limit=600_000))
    later.once()
    check()
    assert later.bytes < 600_000
    linked = {f"sha256:{path.parent.name}" for path in storage.links()}
    assert storage.digests() <= linked, "nothing is left that nobody can ask for"


@pytest.mark.parametrize("stays", ["a link", "the data"])
def test_what_cannot_be_removed_is_left_out_and_the_limit_still_holds(
    storage: RegistryStorage, monkeypatch: pytest.MonkeyPatch, stays: str
) -> None:
    made = images(storage, 20)
    name, digest = made[0].repository, made[0].blobs[1]
    path = storage.layer_link(name, digest) if stays == "a link" else storage.blob_file(digest)
    unlink = os.unlink

    def fail(which: str) -> None:
        if which == str(path):
            raise OSError(errno.EIO, "Input/output error", which)
        unlink(which)

    monkeypatch.setattr(os, "unlink", fail)
    limit = int(1.5 * ALLOCATED)
    running = run(storage, settings(storage, limit=limit))
    running.once()
    assert running.bytes < limit
    assert path.exists()
    assert f"; 1 blob could not be removed: [Errno 5] Input/output error: '{path}'" in running.line()
    assert running.removed["limit"][0] >= 55


def test_the_records_of_a_pull_go_with_it_and_those_of_who_came_after_a_month(
    storage: RegistryStorage, tmp_path: Path
) -> None:
    image = images(storage, 1)[0]
    log = tmp_path / "log"
    month = 31 * 24 * HOUR
    for ago, client in ((month, "10.0.0.6"), (HOUR, "10.0.0.7"), (5.0, "10.0.0.8")):
        write_use(log, "", f"{client}.0123.begin", kind="proof", ago=ago, client=client)
        write_use(log, image.repository, image.digest, ago=ago, client=client)
        write_use(log, "", f"{client}.0123.end", kind="proof", ago=ago, client=client)
    for _ in range(2):
        running = run(storage, settings(storage), log=log)
        running.once()
        running.close()
    running = run(storage, settings(storage), log=log)
    write_use(log, image.repository, image.digest, ago=HOUR)
    running.write()
    usage = Usage(str(tmp_path / "usage.db"))
    asked, served = (json.loads(usage.fact(f"{book} docker.io") or "") for book in ("asked", "served"))
    assert [client for client, _, _ in asked] == ["10.0.0.8"]
    assert [client for client, _, _ in served] == ["10.0.0.8"]
    books = running.caches[0].ledger
    usage.load(books)
    assert set(books.clients) == set(books.proofs) == {"10.0.0.7", "10.0.0.8"}
    with contextlib.closing(sqlite3.connect(tmp_path / "usage.db")) as database:
        for query in ("select count(*) from client", "select count(*) from proof"):
            assert database.execute(query).fetchone() == (2,)


def test_data_goes_only_after_every_link_to_it(storage: RegistryStorage) -> None:
    shared = layer(1)
    one, two = storage.image("a/one", [shared], age=HOUR), storage.image("b/two", [shared], age=HOUR)
    touched: list[str] = []
    run(storage, settings(storage, limit=1000), step=touched.append).keep_limits()
    data = touched.index(str(storage.blob_file(one.blobs[1])))
    for image in (one, two):
        assert touched.index(str(storage.layer_link(image.repository, image.blobs[1]))) < data


def chosen(storage: RegistryStorage, digest: str) -> list[Chosen]:
    return [Chosen(Content("docker.io", digest, 1, BLOB, 0.0, 0.0, True, None, True), "limit")]


def parts(storage: RegistryStorage) -> tuple[BlobFolders, Repositories, Links]:
    folders, repositories = BlobFolders(str(storage.data)), Repositories(str(storage.data))
    folders.refresh()
    repositories.refresh()
    return folders, repositories, repositories.links()


@pytest.mark.parametrize("repository", ["library/a", "library/another", "new/one"])
@pytest.mark.parametrize("after", [None, 1, 15])
def test_data_stays_where_a_link_came_back_in_between(
    storage: RegistryStorage, monkeypatch: pytest.MonkeyPatch, repository: str, after: int | None
) -> None:
    """Also `after` some of what goes with it is gone already."""
    monkeypatch.setattr(removal, "LINKS_SECONDS", 0.0)
    monkeypatch.setattr(removal, "LINKS_FACTOR", 0)
    digests = [storage.blob(layer(number), "library/a") for number in range(20)]
    storage.blob(layer(20), "library/another")
    digest = digests[-1]

    def link_again(path: str) -> None:
        if path.endswith("/data"):
            removed.append(path)
            if len(removed) == after:
                storage.blob(layer(19), repository)

    removed: list[str] = []
    folders, repositories, links = parts(storage)
    leaving = Leaving()
    all_chosen = [one for digest in digests for one in chosen(storage, digest)]
    leaving.begin([(Removal(folders, repositories, link_again), all_chosen, links)], 0.0)
    if after is None:
        storage.blob(layer(19), repository)
    assert [one.content.digest for one in leaving.drain()] == digests[:-1]
    assert storage.serves(repository, digest) == layer(19)


def test_data_stays_while_an_upload_may_be_about_to_be_it_and_goes_soon_after(
    storage: RegistryStorage,
) -> None:
    digest = storage.blob(layer(1), "library/a")
    folders, repositories, links = parts(storage)
    upload = storage.upload("library/a", layer(1)[:-100])
    leaving = Leaving()
    leaving.begin([(Removal(folders, repositories), chosen(storage, digest), links)], 0.0)
    assert leaving.end() == []
    assert leaving.digests == {("docker.io", digest)}
    (upload / "data").unlink()
    gone: list[Chosen] = []
    deadline = time.monotonic() + 5
    while leaving and time.monotonic() < deadline:
        leaving.nap()
        gone += leaving.end()
    assert [one.content.digest for one in gone] == [digest]
    assert not storage.blob_file(digest).exists()


def test_who_hands_over_does_not_wait_for_an_upload(storage: RegistryStorage) -> None:
    digest = storage.blob(layer(1), "library/a")
    folders, repositories, links = parts(storage)
    storage.upload("library/a", layer(1)[:-100])
    leaving = Leaving()
    leaving.begin([(Removal(folders, repositories), chosen(storage, digest), links)], 0.0)
    assert leaving.drain() == []
    assert not leaving
    assert storage.blob_file(digest).exists()


def test_more_may_begin_to_go_while_some_waits(storage: RegistryStorage) -> None:
    first, second = (storage.blob(layer(number), "library/a") for number in (1, 2))
    folders, repositories, links = parts(storage)
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    leaving = Leaving(sleep, lambda: now)
    removing = Removal(folders, repositories)
    leaving.begin([(removing, chosen(storage, first), links)], 0.0)
    leaving.begin([(removing, chosen(storage, second), links)], 0.0)
    assert leaving.bytes == {"docker.io": 2}
    assert {one.content.digest for one in leaving.drain()} == {first, second}
    assert not leaving


def test_the_pause_grows_with_the_lateness_of_a_busy_machine(
    storage: RegistryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "PAUSE_SECONDS", 0.25)
    folders, repositories, links = parts(storage)

    def paused(lateness: list[float]) -> float:
        now = 0.0
        late = iter(lateness)

        def sleep(seconds: float) -> None:
            nonlocal now
            now += seconds + next(late, 0.0)

        leaving = Leaving(sleep, lambda: now)
        leaving.begin([(Removal(folders, repositories), [], links)], 0.0)
        leaving.drain()
        assert leaving.slowest(1.0) == pytest.approx(now)
        return now

    assert paused([]) == pytest.approx(0.25, abs=0.02)
    assert paused([0.1]) == pytest.approx(0.65, abs=0.02)
    assert paused([0.0, 9.0]) == pytest.approx(9.02, abs=0.02)


def test_a_sweep_takes_what_nobody_can_ask_for_and_only_after_an_hour(storage: RegistryStorage) -> None:
    kept = storage.image("library/kept", [layer(1)], age=3 * HOUR)
    gone = storage.image("library/gone", [layer(2)], age=3 * HOUR)
    fresh = storage.image("library/fresh", [layer(3)], age=0)
    for image in (gone, fresh):
        for digest in [image.digest, *image.blobs]:
            storage.blob_file(digest).unlink()
        storage.revision_link(image.repository, image.digest).unlink()
    dead, alive = storage.upload("library/kept", b"x", age=2 * HOUR), storage.upload("library/kept", b"yy")
    folders, repositories, _ = parts(storage)
    now = time.time()
    # Each pass takes the lowest folders: those above them have just changed.
    for passed in range(9):
        storage.make_old(2 * HOUR)
        repositories.refresh()
        sweeping = sweep.Sweep(folders, repositories, now=now)
        sweeping.dead_uploads()
        assert list(sweeping.run()) == sorted(one.name for one in repositories.all())
        assert is_whole(storage, kept)
        assert storage.tag_link("library/kept", "latest").exists()
        assert storage.tag_link("library/fresh", "latest").exists(), f"it is young ({passed})"
    assert not (storage.root / "repositories" / "library" / "gone").exists()
    assert not storage.blob_file(gone.digest).parent.exists()
    assert not dead.exists()
    assert (alive / "data").exists()


def test_a_sweep_goes_on_in_the_next_runs_until_it_has_been_everywhere(
    storage: RegistryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "SWEEP_SECONDS", 0.0)
    second = RegistryStorage(storage.data.parent / "second")
    upstreams = [Upstream(name, name, str(one.data), None) for name, one in (("b", storage), ("a", second))]
    stale = []
    for one in (storage, second):
        for number in range(5):
            image = one.image(f"library/i{number}", [layer(number)], age=2 * HOUR)
            one.blob_file(image.blobs[1]).unlink()
            stale.append(one.layer_link(image.repository, image.blobs[1]))
    dead = second.upload("library/i4", b"x", age=2 * HOUR)
    left = []
    for _ in range(20):
        running = run(storage, settings(storage, upstreams=upstreams))
        ticks = iter([False, False, True])
        running.watch(60.0, lambda ticks=ticks: next(ticks))  # type: ignore[misc]
        running.close()
        left.append(sum(link.exists() for link in stale))
        assert not dead.exists(), "however much else there is to clean"
        if not left[-1]:
            break
    assert left[0] > 0, "one run is too short"
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    assert len(left) <= 7


def test_a_database_that_cannot_be_read_is_begun_anew(storage: RegistryStorage) -> None:
    made = images(storage, 2)
    run(storage, settings(storage)).once()
    for suffix in ("-wal", "-shm"):
        (storage.data.parent / f"usage.db{suffix}").unlink(missing_ok=True)
    (storage.data.parent / "usage.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    running = run(storage, settings(storage, limit=10_000_000))
    running.once()
    assert running.bytes > 2 * ALLOCATED
    assert all(is_whole(storage, image) for image in made)


def test_what_was_counted_before_an_outage_is_not_counted_as_of_these_days(storage: RegistryStorage) -> None:
    now, database = time.time(), str(storage.data.parent / "usage.db")
    running = run(storage, settings(storage))
    running.caches[0].ledger.counters["blob.hit"] = 50
    running.once()
    rows = [
        (int(now - days * 86400), "docker.io", 0, hits, 0, 0, 0, 0, 0) for days, hits in ((5, 40), (3, 47))
    ]
    with contextlib.closing(sqlite3.connect(database)) as before:
        before.execute("delete from sample")
        before.executemany("insert into sample values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        before.commit()
    usage = Usage(database)
    usage.prune("docker.io", now)
    usage.commit()
    usage.close()

    run(storage, settings(storage)).once()

    told = records.collected((storage.data.parent / "metrics" / "collect.json").read_text())
    samples, total = told.samples_of("docker.io"), records.counted(told.upstreams["docker.io"])
    assert [(sample.at, sample.hits) for sample in samples] == [(int(now - 3 * 86400), 47)]
    assert records.traffic(samples, total, now - 86400).hits == 3
    assert told.watches_since >= now - 48 * 3600, "older pulls are dropped all the same"


def test_on_a_full_disk_a_run_evicts_and_its_records_stay_for_the_next_one(
    storage: RegistryStorage, tmp_path: Path
) -> None:
    images(storage, 12)
    collector_program.write_settings(tmp_path, storage.data)
    watch = [*collector_program.command(tmp_path, "watch"), "--seconds=0.5"]

    def start(full: bool) -> subprocess.CompletedProcess[str]:
        def no_room() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

        folder = collector_program.PACKAGE.parent
        return subprocess.run(
            watch,
            cwd=folder,
            preexec_fn=no_room if full else None,
            capture_output=True,
            text=True,
            check=False,
        )

    assert start(full=False).returncode == 0
    records = tmp_path / "state" / "usage.db"
    before = records.read_bytes()
    collector_program.write_settings(tmp_path, storage.data, 600_000)
    done = start(full=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert "for limit)" in done.stdout
    assert "could not be written: usage.db: disk I/O error" in done.stdout
    assert len(storage.digests()) <= 18
    assert records.read_bytes() == before
    assert "written" not in start(full=False).stdout


def test_records_that_cannot_be_written_any_more_are_those_of_the_last_time_for_the_next_run(
    storage: RegistryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = False

    class Database(sqlite3.Connection):
        def commit(self) -> None:
            if full:
                raise sqlite3.OperationalError("database or disk is full")
            super().commit()

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **rest: connect(*args, factory=Database, **rest))
    log = tmp_path / "log"
    made = images(storage, 3)
    storage.make_old(60)
    running = run(storage, settings(storage), log=log)
    running.write()
    storage.image("library/more", [layer(9)], age=60)
    storage.make_old(60)
    write_use(log, "library/i0", made[0].digest)
    running.look()
    full = True
    running.write()
    full = False
    running.write()
    assert running.line().endswith("; could not be written: usage.db: database or disk is full")
    running.close()
    later = run(storage, settings(storage), log=log)
    assert later.bytes == running.bytes
    later.write()
    assert report(storage)["upstreams"]["docker.io"]["requests"]["manifest"]["hit"] == 1  # type: ignore[index]


def test_it_runs_as_a_program_where_nothing_is_installed(storage: RegistryStorage, tmp_path: Path) -> None:
    images(storage, 12)
    collector_program.write_settings(tmp_path, storage.data, 600_000)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "collector").symlink_to(collector_program.PACKAGE)
    command = collector_program.command(tmp_path, "now")
    done = subprocess.run(
        command, cwd=tmp_path / "scripts", capture_output=True, text=True, check=False, env={}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("before 1.")
    assert len(done.stdout.splitlines()) == 1
    assert (tmp_path / "state" / "now").read_text() == done.stdout
    assert 'registry_cache_bytes{upstream="docker.io"}' in (tmp_path / "metrics" / "collect.prom").read_text()


def test_what_it_cannot_do_is_one_line_that_says_what(tmp_path: Path) -> None:
    (tmp_path / "collector").symlink_to(collector_program.PACKAGE)
    (tmp_path / "collect.json").write_text("{}")
    command = collector_program.command(tmp_path, "now")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("failed: KeyError: 'upstreams' (settings.py:")
    assert done.stderr == ""


def test_it_holds_only_what_python_3_6_knows() -> None:
    vermin = Path(sys.executable).with_name("vermin")
    command: list[str | Path] = [
        vermin,
        "--target=3.6-",
        "--violations",
        "--no-parse-comments",
        "--eval-annotations",
        collector_program.PACKAGE,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
