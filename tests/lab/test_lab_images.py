"""Images are built once, again when an input changed, and never left half-made."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import Lab, LabError, images, pieces
from lab.pieces import Piece

FIRST = Piece("first", "first/build.sh", ("first",))
SECOND = Piece("second", "second/build.sh", ("second",), needs=("first",))
PAIR = (FIRST, SECOND)
ROOT = Path(__file__).resolve().parent.parent.parent

# What a killed process of its own would run: the same two pieces, from the same places.
BUILD = """
import sys, pathlib
from lab import images, pieces
images.SOURCES = pieces.SOURCES = pathlib.Path(sys.argv[1])
pair = (
    pieces.Piece("first", "first/build.sh", ("first",)),
    pieces.Piece("second", "second/build.sh", ("second",), needs=("first",)),
)
images.ensure_images([], pair)
"""


@dataclass(frozen=True)
class Workshop:
    """Two pieces of a test's own, which write down in `runs` whenever they are built."""

    sources: Path
    cache: Path
    runs: Path

    def write(self, piece: str, script: str) -> None:
        file = self.sources / piece / "build.sh"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\nset -e\necho {piece} >>{self.runs}\n{script}\n")
        file.chmod(0o755)

    def built(self) -> list[str]:
        runs = self.runs.read_text().split() if self.runs.exists() else []
        self.runs.unlink(missing_ok=True)
        return runs

    def folders(self) -> list[str]:
        return sorted(
            path.name for path in (self.cache / "registry-cache/lab/images").iterdir() if path.is_dir()
        )


@pytest.fixture
def workshop(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    place = Workshop(tmp_path / "sources", tmp_path / "cache", tmp_path / "runs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.cache))
    for module in (images, pieces):
        monkeypatch.setattr(module, "SOURCES", place.sources)
    place.write("first", 'echo one >"$OUT/made"')
    place.write("second", 'cat "$FIRST/made" >"$OUT/made"')
    return place


def test_pieces_are_built_once_each_after_what_it_needs(workshop: Workshop) -> None:
    built = images.ensure_images([], PAIR)
    assert workshop.built() == ["first", "second"]
    assert (built["second"].folder / "made").read_text() == "one\n"

    assert images.ensure_images([], PAIR) == built
    assert workshop.built() == [], "they were there"


def test_a_changed_input_builds_the_piece_and_what_needs_it(workshop: Workshop) -> None:
    images.ensure_images([], PAIR)
    workshop.built()

    (workshop.sources / "second" / "note").write_text("new")
    images.ensure_images([], PAIR)
    assert workshop.built() == ["second"]

    workshop.write("first", 'echo two >"$OUT/made"')
    built = images.ensure_images([], PAIR)
    assert workshop.built() == ["first", "second"]
    assert (built["second"].folder / "made").read_text() == "two\n"


def test_two_builds_at_once_build_each_piece_once(workshop: Workshop) -> None:
    with ThreadPoolExecutor() as pool:
        first, second = (pool.submit(images.ensure_images, [], PAIR) for _ in range(2))

    assert first.result() == second.result()
    assert workshop.built() == ["first", "second"]


def test_a_failing_build_shows_its_last_words_and_leaves_no_piece(workshop: Workshop) -> None:
    workshop.write("first", "echo the archive has moved >&2; exit 3")

    with pytest.raises(LabError, match=r"(?s)first/build.sh failed with exit code 3.*the archive has moved"):
        images.ensure_images([], PAIR)

    assert not [name for name in workshop.folders() if name.startswith("first")]


def test_a_killed_build_is_completed_by_the_next(workshop: Workshop) -> None:
    workshop.write("first", 'echo half >"$OUT/made"; while [ -e "$OUT" ]; do sleep 0.1; done')
    process = subprocess.Popen([sys.executable, "-c", BUILD, str(workshop.sources)], cwd=ROOT)
    deadline = time.monotonic() + 30
    while not (workshop.runs.exists() and list(workshop.cache.rglob("building-*/made"))):
        assert time.monotonic() < deadline, "the build did not begin"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    workshop.write("first", 'echo whole >"$OUT/made"')

    built = images.ensure_images([], PAIR)

    assert (built["second"].folder / "made").read_text() == "whole\n"
    assert not [name for name in workshop.folders() if name.startswith("building-")]
