"""Building the lab's images, and finding those that are already there."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.command import docker
from lab.errors import LabError
from lab.pieces import SHARED, Piece
from lab.places import SOURCES, cache_directory
from lab.progress import step
from toolchain.cache import locked

REPOSITORY = "registry-cache-lab"
ID_FILE = "build-id"
UNFINISHED = "building-"


@dataclass(frozen=True)
class Built:
    """A piece that is there: the folder with its files, the stem of its image tags, the id of that build."""

    folder: Path
    image: str
    build_id: str


def ensure_images(hosts: Iterable[Piece], shared: Iterable[Piece] = SHARED) -> dict[str, Built]:
    """The `shared` pieces and those of `hosts`, by name; builds what is missing or whose inputs changed."""
    cache = cache_directory() / "images"
    pieces = {piece.name: piece for piece in (*shared, *hosts)}
    with locked(cache):
        for left in cache.glob(f"{UNFINISHED}*"):
            # A build.sh whose parent was killed may still write there.
            shutil.rmtree(left, ignore_errors=True)
        present = frozenset(docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines())
        futures: dict[str, Future[Built]] = {}
        # One thread a piece: each waits for its needs, which come before it in the table.
        with ThreadPoolExecutor(max_workers=len(pieces)) as pool:
            for name, piece in pieces.items():
                needs = {need: futures[need] for need in piece.needs}
                futures[name] = pool.submit(_ensure, cache, present, piece, needs)
        return {name: future.result() for name, future in futures.items()}


def _ensure(
    cache: Path, present: frozenset[str], piece: Piece, futures: Mapping[str, Future[Built]]
) -> Built:
    needs = {name: future.result() for name, future in futures.items()}
    digest = piece.digest([need.build_id for need in needs.values()])
    folder = cache / f"{piece.name}-{digest}"
    image = f"{REPOSITORY}/{piece.name}:{digest}"
    id_file = folder / ID_FILE
    if not id_file.is_file() or not {image + suffix for suffix in piece.suffixes} <= present:
        with step(f"building {piece.name}"):
            unfinished = cache / f"{UNFINISHED}{uuid.uuid4().hex}"
            unfinished.mkdir()
            _run_script(piece, unfinished, image, needs, cache / f"{piece.name}.log")
            (unfinished / ID_FILE).write_text(uuid.uuid4().hex)
            if folder.exists():
                shutil.rmtree(folder)
            unfinished.rename(folder)
    return Built(folder, image, id_file.read_text())


def _run_script(piece: Piece, out: Path, image: str, needs: Mapping[str, Built], log_file: Path) -> None:
    environment = {
        **os.environ,
        "PIECE": piece.name,
        "SOURCES": str(SOURCES),
        "OUT": str(out),
        "IMAGE": image,
        **dict(piece.settings),
    }
    for name, need in needs.items():
        variable = name.split("-", 1)[0].upper()
        environment[variable] = str(need.folder)
        environment[f"{variable}_IMAGE"] = need.image
    script = [str(SOURCES / piece.script)]
    with log_file.open("wb") as log:
        done = subprocess.run(
            script, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if done.returncode != 0:
        lines = log_file.read_text(errors="replace").strip().splitlines()
        last = "\n  ".join(lines[-15:])
        raise LabError(
            f"lab/images/{piece.script} failed with exit code {done.returncode} "
            f"(whole log: {log_file}):\n  {last}"
        )
