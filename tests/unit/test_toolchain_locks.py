"""Whose a stack's lock is: gone, running, or on another machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from toolchain.stack_locks import (
    Holder,
    Lock,
    holder,
    is_running_pulumi,
    lock_files,
    read_lock,
    read_locks,
    remove_torn_attributes,
)

TEXT = json.dumps(
    {"pid": 4711, "username": "ann", "hostname": "desk", "timestamp": "2026-11-23T22:00:00.123456789Z"}
)
LOCK = Lock(4711, "ann", "desk", "2026-11-23T22:00:00.123456789Z")


def test_a_lock_file_of_the_cli_is_read() -> None:
    assert read_lock(TEXT) == LOCK
    assert str(LOCK) == "pid 4711 of ann@desk, since 2026-11-23T22:00:00"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x"}'])
def test_another_file_is_no_lock(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_lock(text)


@pytest.mark.parametrize(
    ("machine", "running", "who"),
    [
        ("desk", True, Holder.RUNNING),
        ("desk", False, Holder.GONE),
        ("other", True, Holder.ELSEWHERE),
        ("other", False, Holder.ELSEWHERE),
    ],
)
def test_only_this_machines_processes_can_be_known_to_be_gone(
    machine: str, running: bool, who: Holder
) -> None:
    assert holder(LOCK, machine, lambda pid: running and pid == 4711) is who


@pytest.mark.parametrize(
    ("name", "state", "running"),
    [("pulumi", "S", True), ("pulumi", "Z", False), ("bash", "S", False), (None, None, False)],
)
def test_a_number_that_another_program_has_now_is_not_the_lock_holder(
    tmp_path: Path, name: str | None, state: str | None, running: bool
) -> None:
    if name is not None:
        (tmp_path / "4711").mkdir()
        (tmp_path / "4711" / "comm").write_text(f"{name}\n")
        (tmp_path / "4711" / "stat").write_text(f"4711 ({name}) {state} 1 4711\n")
    assert is_running_pulumi(4711, tmp_path) is running


def test_without_a_process_folder_a_signal_tells(tmp_path: Path) -> None:
    assert is_running_pulumi(os.getpid(), tmp_path / "none")
    # Above the highest number that Linux gives.
    assert not is_running_pulumi(2**22 + 1, tmp_path / "none")


def test_locks_are_found_in_a_file_backend_only(tmp_path: Path) -> None:
    folder = tmp_path / "a b" / ".pulumi" / "locks" / "organization" / "registry-cache" / "dev"
    folder.mkdir(parents=True)
    (folder / "one.json").write_text(TEXT)
    for backend in (f"file://{tmp_path}/a b", f"file://{tmp_path}/a%20b"):
        files = lock_files({"PULUMI_BACKEND_URL": backend}, "registry-cache", "dev")
        assert read_locks(files) == [LOCK]
    assert lock_files({"PULUMI_BACKEND_URL": f"file://{tmp_path}/a b"}, "registry-cache", "prod") == []
    assert lock_files({"PULUMI_BACKEND_URL": "s3://states"}, "registry-cache", "dev") == []
    assert lock_files({}, "registry-cache", "dev") == []


def test_a_lock_that_vanishes_is_no_lock(tmp_path: Path) -> None:
    assert read_locks([tmp_path / "gone.json"]) == []


def test_only_attribute_files_that_a_kill_left_empty_go_from_a_file_backend(tmp_path: Path) -> None:
    stacks = tmp_path / ".pulumi" / "stacks" / "project"
    stacks.mkdir(parents=True)
    (stacks / "dev.json").write_text("")
    (stacks / "dev.json.attrs").write_text("")
    (stacks / "other.json.attrs").write_text("{}")

    backend = {"PULUMI_BACKEND_URL": f"file://{tmp_path}?metadata=skip"}
    assert remove_torn_attributes(backend) == [stacks / "dev.json.attrs"]
    assert sorted(file.name for file in stacks.iterdir()) == ["dev.json", "other.json.attrs"]
    assert remove_torn_attributes({"PULUMI_BACKEND_URL": "s3://bucket"}) == []
