"""Who runs: one at a time, the next one at once, and before all others who was asked for by a person."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from components.collector.__main__ import Turn
from tests import collector_program

SECONDS = 20


def begun(work: threading.Thread) -> threading.Thread:
    work.start()
    return work


def test_one_runs_and_the_next_one_takes_over(tmp_path: Path) -> None:
    first, second = Turn(str(tmp_path)), Turn(str(tmp_path))
    first.wait()
    waiting = begun(threading.Thread(target=second.wait))
    waiting.join(0.2)
    assert waiting.is_alive()
    assert not first.is_wanted(), "waiting is no reason to end"
    first.give_up()
    waiting.join(SECONDS)
    assert not waiting.is_alive()


def test_who_is_asked_for_comes_before_who_waits(tmp_path: Path) -> None:
    running, waiting, asked = Turn(str(tmp_path)), Turn(str(tmp_path)), Turn(str(tmp_path))
    order: list[str] = []

    def run(turn: Turn, name: str) -> None:
        turn.demand() if name == "asked" else turn.wait()
        order.append(name)
        turn.give_up()

    running.wait()
    first = begun(threading.Thread(target=run, args=(waiting, "waiting")))
    second = begun(threading.Thread(target=run, args=(asked, "asked")))
    deadline = time.monotonic() + SECONDS
    while not running.is_wanted():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    running.give_up()
    for thread in (first, second):
        thread.join(SECONDS)
    assert order == ["asked", "waiting"]


def _start(folder: Path, action: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        collector_program.command(folder, action),
        cwd=collector_program.PACKAGE.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_watching_run_ends_for_one_that_is_asked_for_and_when_it_is_told_to(tmp_path: Path) -> None:
    collector_program.write_settings(tmp_path, tmp_path / "data")
    watching, relief = _start(tmp_path, "watch"), _start(tmp_path, "watch")
    deadline = time.monotonic() + SECONDS
    while not (tmp_path / "metrics" / "collect.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    asked = _start(tmp_path, "now")
    assert asked.wait(SECONDS) == 0
    ended = [one for one in (watching, relief) if one.poll() is not None]
    assert len(ended) == 1, "the one that watched, and not the one that waited for it"
    assert ended[0].returncode == 0
    (left,) = {watching, relief} - set(ended)
    os.kill(left.pid, signal.SIGTERM)
    assert left.wait(SECONDS) == 0
    for one in (watching, relief, asked):
        said, wrong = one.communicate()
        assert wrong == ""
        assert len(said.splitlines()) <= 1
