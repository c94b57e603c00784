"""Building the lab's images, and finding those that are already there."""

import fcntl
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.command import docker
from lab.errors import LabError
from lab.pieces import SHARED, Piece
from lab.places import SOURCES, cache_directory
from lab.progress import step

REPOSITORY = "registry-cache-lab"
ID_FILE = "build-id"


@dataclass(frozen=True)
class Built:
    """A piece that is there: the folder with its files, the stem of its image tags, and the id of that build."""

    folder: Path
    image: str
    build_id: str


@contextmanager
def _only_build(cache: Path) -> Iterator[None]:
    """One build at a time on this cache; the lock ends with the process, however it ends."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step("waiting for another build of the lab's images"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Builder:
    def __init__(self, cache: Path, pieces: Iterable[Piece]) -> None:
        self._cache = cache
        self._pieces = {piece.name: piece for piece in pieces}
        self._tags = frozenset(docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines())
        self._futures: dict[str, Future[Built]] = {}

    def build_all(self) -> dict[str, Built]:
        with ThreadPoolExecutor(max_workers=len(self._pieces)) as pool:
            for name, piece in self._pieces.items():
                self._futures[name] = pool.submit(
                    self._ensure, piece, [self._futures[n] for n in piece.needs]
                )
        return {name: future.result() for name, future in self._futures.items()}

    def _ensure(self, piece: Piece, needs: list[Future[Built]]) -> Built:
        built_needs = {name: need.result() for name, need in zip(piece.needs, needs, strict=True)}
        digest = piece.digest([need.build_id for need in built_needs.values()])
        folder = self._cache / f"{piece.name}-{digest}"
        image = f"{REPOSITORY}/{piece.name}:{digest}"
        if not (folder / ID_FILE).is_file() or not {image + s for s in piece.suffixes} <= self._tags:
            with step(f"building {piece.name}"):
                self._build(piece, folder, image, built_needs)
        return Built(folder, image, (folder / ID_FILE).read_text())

    def _build(self, piece: Piece, folder: Path, image: str, needs: Mapping[str, Built]) -> None:
        unfinished = self._cache / f"building-{uuid.uuid4().hex}"
        unfinished.mkdir()
        environment = {
            **os.environ,
            "PIECE": piece.name,
            "SOURCES": str(SOURCES),
            "OUT": str(unfinished),
            "IMAGE": image,
            **dict(piece.settings),
        }
        for name, need in needs.items():
            environment[name.upper()] = str(need.folder)
            environment[f"{name.upper()}_IMAGE"] = need.image
        log_file = self._cache / f"{piece.name}.log"
        with log_file.open("wb") as log:
            script = [str(SOURCES / piece.script)]
            done = subprocess.run(
                script, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            )
        if done.returncode != 0:
            last = "\n  ".join(log_file.read_text(errors="replace").strip().splitlines()[-15:])
            raise LabError(
                f"lab/images/{piece.script} failed with exit code {done.returncode} (whole log: {log_file}):\n  {last}"
            )
        (unfinished / ID_FILE).write_text(uuid.uuid4().hex)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)


def ensure_images(hosts: Iterable[Piece]) -> dict[str, Built]:
    """All shared pieces and those of `hosts`, by name; builds what is missing or whose inputs changed."""
    cache = cache_directory() / "images"
    with _only_build(cache):
        for leftover in cache.glob("building-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        return _Builder(cache, [*SHARED, *hosts]).build_all()
