"""What one run of the collector costs on a large cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests import collector_program
from tests.bench.measuring import Command, Cost, measure

BLOBS = 100_000
LAYERS = 8
"""Blobs of each image besides its manifest: a configuration and seven layers."""

REPOSITORIES = 500
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Collecting:
    """What three runs cost: the first, one that finds nothing new, and one that evicts a quarter."""

    blobs: int
    first: Cost
    again: Cost
    evicting: Cost

    def markdown(self) -> str:
        """A table."""
        rows = [
            ("the first run", self.first),
            ("a later run, nothing to do", self.again),
            ("a run that evicts a quarter", self.evicting),
        ]
        lines = [f"### The collector over {self.blobs:,} blob files", ""]
        lines += ["|  | seconds | CPU | peak memory |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {what} | {cost.seconds:.1f} | {cost.cpu_seconds:.1f} | {cost.peak_bytes / MEBIBYTE:.0f} MiB |"
            for what, cost in rows
        ]
        return "\n".join([*lines, ""])


def measure_collecting(directory: Path, blobs: int = BLOBS) -> Collecting:
    """Makes a cache of so many blobs in `directory` and runs the collector on it."""
    directory = directory.resolve()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    try:
        size = fill(directory / "data", blobs)
        first = _run(directory, None)
        again = _run(directory, None)
        evicting = _run(directory, size)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return Collecting(blobs, first, again, evicting)


def fill(data: Path, blobs: int) -> int:
    """Lays out a cache's storage; the bytes that the collector will see."""
    root = data / "docker" / "registry" / "v2"
    for number in range(blobs // (LAYERS + 1)):
        repository = root / "repositories" / f"team-{number % REPOSITORIES}" / "image"
        digests = [_blob(root, f"{number}.{layer}".encode()) for layer in range(LAYERS)]
        for digest in digests:
            _link(repository / "_layers" / "sha256" / digest, digest)
        named = [{"digest": f"sha256:{digest}", "size": 1} for digest in digests]
        document = {"schemaVersion": 2, "config": named[0], "layers": named[1:]}
        manifest = _blob(root, json.dumps(document).encode())
        _link(repository / "_manifests" / "revisions" / "sha256" / manifest, manifest)
        _link(repository / "_manifests" / "tags" / str(number) / "current", manifest)
    block = os.statvfs(data).f_bsize
    return blobs // (LAYERS + 1) * (LAYERS + 1) * 4 * block


def _blob(root: Path, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    folder = root / "blobs" / "sha256" / digest[:2] / digest
    folder.mkdir(parents=True)
    (folder / "data").write_bytes(content)
    return digest


def _link(folder: Path, digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link").write_text(f"sha256:{digest}")


def _run(directory: Path, limit: int | None) -> Cost:
    collector_program.write_settings(directory, directory / "data", limit)
    argv = collector_program.command(directory, "now")
    return measure(Command(argv, collector_program.PACKAGE.parent, dict(os.environ)), directory / "run.log")
