"""The lab's own Docker engine, without one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import engine

MOMENT = 0.5
"""Seconds in which a second start would begin, were it not kept from that."""


def test_two_labs_that_begin_at_once_start_one_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[Path] = []
    runs, another = threading.Event(), threading.Event()
    both_asked = threading.Barrier(2, timeout=10)
    asked = threading.local()

    def answers() -> bool:
        running = runs.is_set()
        if not hasattr(asked, "before"):
            asked.before = True
            both_asked.wait()
        return running

    def start(directory: Path) -> None:
        starts.append(directory)
        if len(starts) > 1:
            another.set()
        another.wait(MOMENT)
        runs.set()

    monkeypatch.setattr(engine, "_engine_directory", lambda: tmp_path / "engine")
    monkeypatch.setattr(engine, "engine_answers", answers)
    monkeypatch.setattr(engine, "_start_engine", start)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(engine.ensure_engine) for _ in range(2)]:
            done.result()
    assert starts == [tmp_path / "engine"]


def test_two_labs_that_begin_at_once_install_what_the_machine_lacks_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []
    both_looked = threading.Barrier(2, timeout=10)
    looked = threading.local()

    def missing(names: Sequence[str]) -> list[str]:
        found = [name for name in names if name not in installed]
        if not hasattr(looked, "before"):
            looked.before = True
            both_looked.wait()
        return found

    def run(argv: Sequence[str], environment: object) -> str:
        if "install" in argv:
            installed.append(argv[-1])
        return ""

    monkeypatch.setattr(engine, "_engine_directory", lambda: tmp_path / "engine")
    monkeypatch.setattr(engine, "missing_programs", missing)
    monkeypatch.setattr(engine, "output_of", run)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(engine.install_programs, {"rpm": "rpm"}) for _ in range(2)]:
            done.result()
    assert installed == ["rpm"]


def test_an_engine_that_a_lab_is_at_work_with_is_not_stopped_by_another_that_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[bool] = []
    monkeypatch.setattr(engine, "_engine_directory", lambda: tmp_path / "engine")
    monkeypatch.setattr(engine, "engine_answers", lambda: True)
    monkeypatch.setattr(engine, "docker", lambda *_: "")
    monkeypatch.setattr(engine, "_stop_own_engine", lambda: stopped.append(True))
    with engine.engine_in_use():
        engine.stop_idle_engine()
        assert stopped == [], "it has no host yet, but is about to"
    engine.stop_idle_engine()
    assert stopped == [True]
